// Pictures before they are sent: a large one is made smaller by the browser's own decoder, whichever way it comes in.
import { make } from './dom.js';

// Above this many bytes or pixels a picture is made smaller: the server reads a square of 256 pixels out of it.
const BYTES = 4e6, PIXELS = 8e6, SIDE = 1600;

// The size to draw a picture in, [width, height], or null if it is sent as it is, bit by bit.
export const smaller_size = (width, height, bytes, most = BYTES) => {
  if (!(width > 0 && height > 0) || (bytes <= Math.min(most, BYTES) && width * height <= PIXELS)) return null;
  const scaled = Math.min(1, SIDE / Math.max(width, height));
  return [width, height].map((side) => Math.max(1, Math.round(side * scaled)));
};

// What to send in place of a file: the file itself, or a smaller JPEG of it. What the browser cannot decode goes as it
// is, and the server says what is wrong with it.
export const to_send = async (file, most, decode = (each) => createImageBitmap(each)) => {
  try {
    const picture = await decode(file), size = smaller_size(picture.width, picture.height, file.size, most);
    return (size && (await drawn(picture, size))) || file;
  } catch { return file; }
};

const drawn = (picture, [width, height]) => {
  const canvas = make('canvas', { width, height }), pen = canvas.getContext('2d');
  pen.fillStyle = 'rgb(128, 128, 128)';  // shows through what is transparent, as on the server
  pen.fillRect(0, 0, width, height);
  pen.imageSmoothingQuality = 'high';
  pen.drawImage(picture, 0, 0, width, height);
  return new Promise((done) => canvas.toBlob(done, 'image/jpeg', 0.92));
};
