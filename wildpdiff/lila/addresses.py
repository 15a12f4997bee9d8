"""Where LILA has Snapshot Serengeti (Community Data License Agreement, permissive variant)."""

from __future__ import annotations

#: The same files at three clouds; `lila.science` names all of them.
MIRRORS = {
    "gcp": "https://storage.googleapis.com/public-datasets-lila/",
    "azure": "https://lilawildlife.blob.core.windows.net/lila-wildlife/",
    "aws": "http://us-west-2.opendata.source.coop.s3.amazonaws.com/agentmorris/lila-wildlife/",
}
#: COCO Camera Traps of all seasons, 7.2 million photographs of 225 locations: 0.2 GB, and 5.2 GB unpacked.
METADATA = "snapshotserengeti-v-2-0/SnapshotSerengeti_S1-11_v2_1.json.zip"
#: The folder that file names of the metadata start from.
IMAGES = "snapshotserengeti-unzipped/"
#: Bytes of a photograph, where no server tells.
TYPICAL = 640_000
