// Somebody to look at in screenshots: a person painted on a canvas stands in for the camera.
//
// It is sent to the browser as text, so it may use nothing from outside of the function.

/**
 * @typedef {object} Person
 * @property {[string, string]} wall the colours of the wall behind, from above to below
 * @property {string} skin
 * @property {string} hair
 * @property {string} clothes
 * @property {boolean} long whether the hair is
 * @property {number} width of the picture, in pixels
 * @property {number} height
 */

/** @type {Omit<Person, 'width' | 'height'>} */
export const MINA = { wall: ['#f6d9c7', '#e9b7a0'], skin: '#f3c6a5', hair: '#2f2430', clothes: '#5151cd', long: true };
/** @type {Omit<Person, 'width' | 'height'>} */
export const JUNHO = { wall: ['#cfd8ee', '#9fb2d9'], skin: '#e9b48c', hair: '#1f2230', clothes: '#f2786d', long: false };

/** @param {Person} person */
export function portrait({ wall, skin, hair, clothes, long, width, height }) {
  navigator.mediaDevices.getUserMedia = async () => {
    const canvas = document.createElement('canvas');
    Object.assign(canvas, { width, height });
    const context = canvas.getContext('2d');
    if (!context) throw new Error('no canvas');
    // All is drawn around the middle of the face, in hundredths of the shorter side.
    const unit = Math.min(width, height) / 100;
    const x = width / 2;
    const y = height * 0.45;

    /** @param {string} colour @param {(path: Path2D) => void} draw */
    const shape = (colour, draw) => {
      const path = new Path2D();
      draw(path);
      context.fillStyle = colour;
      context.fill(path);
    };
    /** @param {string} colour @param {number} dx @param {number} dy @param {number} rx @param {number} [ry] */
    const oval = (colour, dx, dy, rx, ry = rx) =>
      shape(colour, (path) => path.ellipse(x + dx * unit, y + dy * unit, rx * unit, ry * unit, 0, 0, 2 * Math.PI));
    /** @param {string} colour @param {number} dx @param {number} dy @param {number} w @param {number} h @param {number} r */
    const box = (colour, dx, dy, w, h, r) => shape(colour, (path) => path.roundRect(x + dx * unit, y + dy * unit, w * unit, h * unit, r * unit));

    const paint = () => {
      const ground = context.createLinearGradient(0, 0, 0, height);
      ground.addColorStop(0, wall[0]);
      ground.addColorStop(1, wall[1]);
      context.fillStyle = ground;
      context.fillRect(0, 0, width, height);
      // A window and a plant on the left, a shelf with books on the right.
      box('#ffffff66', -78, -40, 34, 42, 3);
      box('#ffffff88', -75, -37, 13, 36, 2);
      box('#ffffff88', -60, -37, 13, 36, 2);
      oval('#5f9275', -66, 20, 5, 12);
      oval('#74a888', -59, 22, 5, 10);
      oval('#4f8064', -62, 17, 4, 13);
      box('#b3694f', -70, 30, 16, 14, 2);
      box('#00000022', 44, -10, 40, 3, 1);
      for (const [at, tall, colour] of /** @type {const} */ ([[47, 20, '#7a6ff0'], [53, 24, '#f2b56d'], [59, 17, '#e0645c'], [65, 22, '#4f8b8f'], [71, 19, '#f4efe6']])) {
        box(colour, at, -10 - tall, 5, tall, 0.8);
      }
      // The person.
      if (long) box(hair, -24, -22, 48, 62, 22);
      shape(clothes, (path) => path.ellipse(x, y + 72 * unit, 46 * unit, 40 * unit, 0, 0, 2 * Math.PI));
      box(skin, -8, 14, 16, 24, 8);
      oval('#00000014', 0, 22, 12, 6);
      oval(skin, 0, 0, 19, 23);
      oval(skin, -19, 2, 3.4, 5);
      oval(skin, 19, 2, 3.4, 5);
      shape(hair, (path) => {
        path.ellipse(x, y - 8 * unit, 21 * unit, 20 * unit, 0, Math.PI, 2 * Math.PI);
        path.lineTo(x + 21 * unit, y - 4 * unit);
        path.quadraticCurveTo(x + (long ? 4 : 16) * unit, y - 14 * unit, x - (long ? 2 : 6) * unit, y - 13 * unit);
        path.quadraticCurveTo(x - 14 * unit, y - 12 * unit, x - 21 * unit, y - 4 * unit);
      });
      for (const side of [-1, 1]) {
        oval('#2a2330', side * 7.5, 1, 1.7, 2.1);
        box(hair, side * 7.5 - 3.5, -5, 7, 1.3, 0.6);
        oval('#e8877a55', side * 11, 8, 3.6, 2.4);
      }
      context.lineWidth = 1.3 * unit;
      context.lineCap = 'round';
      context.strokeStyle = '#9a4a45';
      context.beginPath();
      context.arc(x, y + 8 * unit, 6 * unit, 0.18 * Math.PI, 0.82 * Math.PI);
      context.stroke();
      requestAnimationFrame(paint);
    };
    paint();
    const sound = new AudioContext().createMediaStreamDestination().stream;
    return new MediaStream([...canvas.captureStream(20).getVideoTracks(), ...sound.getAudioTracks()]);
  };
}
