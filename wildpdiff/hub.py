"""The Hugging Face hub: repositories with a bundle or a generator, fetched into its cache, and files sent there.

huggingface_hub, which knows the protocol, the cache, tokens and proxies, is imported when it is first needed. Its own
variables are obeyed: `HF_TOKEN`, `HF_HOME`, `HF_ENDPOINT`, `HF_HUB_OFFLINE`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .errors import UserError
from .files import is_folder

#: Before a repository's name where a folder could stand, too.
PREFIX = "hf-hub:"
#: All that is ever fetched: nothing of these runs code when it is read.
FETCHED = ("*.safetensors", "*.json")
_NAME = re.compile(r"[A-Za-z0-9_][\w.-]*/[A-Za-z0-9_][\w.-]*", re.ASCII)
_REVISION = re.compile(r"[\w./-]+", re.ASCII)
_CACHED = re.compile(r"models--(.+?)--(.+)")


@dataclass(frozen=True)
class Repo:
    """A repository of the hub, at one of its revisions.

    Attributes:
        name: `owner/name`.
        revision: a branch, a tag or a commit; None is the branch `main`.
    """

    name: str
    revision: str | None = None

    @classmethod
    def of(cls, address: str, revision: str | None = None) -> Repo:
        """The repository that `owner/name` or `owner/name@revision` means, with or without `hf-hub:` before it.

        Raises:
            UserError: if it has another form.
        """
        name, _, told = address.removeprefix(PREFIX).partition("@")
        chosen = revision or told or None
        if not _NAME.fullmatch(name) or (chosen is not None and not _REVISION.fullmatch(chosen)):
            raise UserError(f"A repository of the hub is called owner/name or owner/name@revision, not '{address}'.")
        return cls(name, chosen)

    def __str__(self) -> str:
        return f"{PREFIX}{self.name}" + (f"@{self.revision}" if self.revision else "")


def is_address(name: Path | str) -> bool:
    """Whether something typed begins with `hf-hub:`, so that it cannot be a folder of this machine."""
    return str(name).startswith(PREFIX)


def origin(folder: Path) -> Repo | None:
    """The repository, at its commit, that a folder of the hub's cache holds; None for any other folder."""
    commit = folder.absolute()
    held = _CACHED.fullmatch(commit.parent.parent.name)
    return Repo("/".join(held.groups()), commit.name) if held and commit.parent.name == "snapshots" else None


def folder_of(
    name: Path | str,
    files: Sequence[str],
    *,
    revision: str | None = None,
    token: str | None = None,
    local_files_only: bool = False,
) -> Path:
    """A folder by its path, or one of the hub by the name of its repository.

    A `Path`, and a text that names a folder or can be no repository, as one with `.`, `/` or `~` in front, stays on
    this machine.

    Args:
        name: a folder, `owner/name` or `hf-hub:owner/name@revision`.
        files: of a repository, as `fetched` takes them.
        revision: a branch, a tag or a commit of a repository.
        token: of the hub; None is the one of `HF_TOKEN` or `hf auth login`.
        local_files_only: take what the cache has, and ask nobody.

    Raises:
        UserError: as `fetched`; of a text without `hf-hub:` the sentence says that there is no such folder, either.
    """
    access: dict[str, Any] = {"token": token, "local_files_only": local_files_only}
    if is_address(name):
        return fetched(Repo.of(Path(name).as_posix(), revision), files, **access)
    if isinstance(name, Path) or is_folder(Path(name)) or not _NAME.fullmatch(name.partition("@")[0]):
        return Path(name)
    repo = Repo.of(name, revision)
    try:
        return fetched(repo, files, **access)
    except UserError as error:
        raise UserError(f"There is no folder '{name}', and t{str(error)[1:]}") from error


def fetched(repo: Repo, files: Sequence[str], *, token: str | None = None, local_files_only: bool = False) -> Path:
    """The folder of the hub's cache with files of a repository; what the cache lacks is fetched.

    Args:
        repo: where they are.
        files: their names or patterns. The first is a name: without it the repository is something else, and nothing
            more of it is fetched.
        token: as of `folder_of`.
        local_files_only: as of `folder_of`.

    Raises:
        UserError: if there is no such repository, revision or first file, or the hub is out of reach and the cache
            lacks a file.
    """
    import huggingface_hub as hub

    access: dict[str, Any] = {"token": token, "local_files_only": local_files_only}
    with _told(repo, files[0]):
        first = Path(hub.hf_hub_download(repo.name, files[0], revision=repo.revision, **access))
        commit = first.parents[files[0].count("/")].name
        return Path(hub.snapshot_download(repo.name, revision=commit, allow_patterns=list(files), **access))


def sent(
    repo: Repo,
    files: Mapping[str, Path | bytes],
    *,
    message: str,
    private: bool = False,
    token: str | None = None,
    whole: str | None = None,
) -> str:
    """Send files to a repository in one commit; returns the commit's address.

    The repository, and the branch that `repo` names, are made if they are missing.

    Args:
        repo: where to.
        files: by their names there: what they hold, or where that lies.
        message: of the commit.
        private: make the repository one that others do not see.
        token: as of `folder_of`.
        whole: a file that a repository of the same kind has; then `files` are all of it, and what else an earlier
            commit left of the kinds that are fetched goes.

    Raises:
        UserError: if the hub cannot be reached or lets nobody write there, or the repository is public where a private
            one is asked for, or holds something else.
    """
    import huggingface_hub as hub

    if token is None and hub.get_token() is None:
        raise UserError("The hub takes files only of whom it knows; log in with `hf auth login` or set HF_TOKEN.")
    api = hub.HfApi(token=token)
    operations: list[Any] = [hub.CommitOperationAdd(name, part) for name, part in files.items()]
    with _told(repo, whole or "", writing=True):
        api.create_repo(repo.name, private=private or None, exist_ok=True)
        if private and not api.repo_info(repo.name).private:
            raise UserError(f"The hub shows '{repo.name}' to everybody; make it private there, or choose another name.")
        if repo.revision:
            api.create_branch(repo.name, branch=repo.revision, exist_ok=True)
        if whole is not None:
            left = _left(repo, api.list_repo_files(repo.name, revision=repo.revision), whole)
            operations += [hub.CommitOperationDelete(name) for name in left if name not in files]
        return str(api.create_commit(repo.name, operations, commit_message=message, revision=repo.revision).commit_url)


def _left(repo: Repo, there: Sequence[str], whole: str) -> list[str]:
    """What a repository has of the kinds that are fetched.

    Raises:
        UserError: if that is something else, which nobody wants to lose.
    """
    own = [name for name in there if f"*{Path(name).suffix}" in FETCHED]
    if own and whole not in own:
        raise UserError(f"The hub's '{repo.name}' holds something else (it has no {whole}); choose another name.")
    return own


@contextmanager
def _told(repo: Repo, first: str, *, writing: bool = False) -> Iterator[None]:
    """Turn whatever goes wrong between here and the hub into one sentence that begins with "The hub"."""
    try:
        yield
    except UserError:
        raise
    except Exception as error:  # the hub's client raises errors of several libraries
        raise UserError(_sentence(error, repo, first, writing)) from error


def _sentence(error: Exception, repo: Repo, first: str, writing: bool) -> str:
    from huggingface_hub import errors

    login = "log in with `hf auth login` or set HF_TOKEN"
    status = getattr(getattr(error, "response", None), "status_code", None)
    match error:
        case errors.HFValidationError():
            return f"The hub lets no repository be called '{repo.name}'; give the name of another one."
        case errors.RevisionNotFoundError():
            return f"The hub's '{repo.name}' has no revision '{repo.revision or 'main'}'; name a branch, tag or commit."
        case errors.RemoteEntryNotFoundError():
            return (
                f"The hub's '{repo.name}' is something else (it has no {first}); give the name of another repository."
            )
        case _ if writing and (status in (401, 403) or isinstance(error, errors.RepositoryNotFoundError)):
            return f"The hub does not let you write to '{repo.name}'; {login}, with a token that may write there."
        case errors.RepositoryNotFoundError():
            return f"The hub shows you no repository '{repo.name}'; check its name, or, if it is private, {login}."
        case _ if status in (401, 403):
            return f"The hub does not let you read '{repo.name}'; {login}, with a token that may."
        case errors.OfflineModeIsEnabled():
            return "The hub is not asked while HF_HUB_OFFLINE is set; unset it and try again."
        case errors.LocalEntryNotFoundError() if _unasked(error):
            return f"The hub is not asked here, and its cache lacks '{repo.name}'; let the program go online once."
        case errors.LocalEntryNotFoundError():
            return f"The hub cannot be reached, and its cache lacks '{repo.name}'; try again when you are online."
        case _ if status is not None:
            return f"The hub answered with an error ({status}) for '{repo.name}'; try again later."
        case OSError() if error.strerror:
            return f"The hub's '{repo.name}' cannot be kept here ({error.strerror}); free some space or set HF_HOME."
    return f"The hub cannot be reached, or '{repo.name}' not moved ({type(error).__name__}); try again when online."


def _unasked(error: Exception) -> bool:
    """Whether a file is missing that nobody was allowed to ask for."""
    from huggingface_hub import errors

    return error.__cause__ is None or isinstance(error.__cause__, errors.OfflineModeIsEnabled)
