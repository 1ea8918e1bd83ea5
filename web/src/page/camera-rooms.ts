// The rooms of one camera: it holds NAME, NAME~2, NAME~3 and so on, one for each viewer at a time.
import type { Peer } from '../duet.ts';

/** No camera holds more. */
export const ROOMS_MOST = 32;

/** The name of one of its rooms, counted from 1. */
export function cameraRoom(camera: string, number: number): string {
  return number === 1 ? camera : `${camera}~${number}`;
}

/** Which of its rooms a room is; nothing if it is none of them. */
export function cameraRoomNumber(camera: string, room: string): number | undefined {
  if (room === camera) return 1;
  const [, digits] = room.startsWith(`${camera}~`) ? (/^~([1-9]\d?)$/.exec(room.slice(camera.length)) ?? []) : [];
  const number = Number(digits);
  return number >= 2 && number <= ROOMS_MOST ? number : undefined;
}

/**
 * What a viewer does who was let into one of a camera's rooms, with whom it found there: stay, try the next, or give up
 * because the camera holds no more.
 */
export function choosePlace(number: number, fellow: Peer | undefined): 'stay' | 'next' | 'give-up' {
  // Another viewer who waits for the camera.
  if (fellow?.info?.['kind'] === 'viewer') return 'next';
  // In the first room one waits for a camera that is not there yet.
  return fellow || number === 1 ? 'stay' : 'give-up';
}
