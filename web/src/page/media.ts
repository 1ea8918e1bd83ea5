// This side's camera and microphone: asking for them, saying why they are refused, changing devices.

/** Why there is no camera and no microphone. */
export interface MediaProblem {
  code: 'denied' | 'not-found' | 'in-use' | 'insecure' | 'failed';
  message: string;
}

export class MediaError extends Error {
  readonly problem: MediaProblem;

  constructor(problem: MediaProblem) {
    super(problem.message);
    this.name = 'MediaError';
    this.problem = problem;
  }
}

export type Kind = 'audio' | 'video';

/** The devices chosen before, by kind. */
const KEY = 'duet.devices';
const VIDEO: MediaTrackConstraints = { width: { ideal: 1280 }, height: { ideal: 720 } };

/** The reason in `error`, as `getUserMedia` throws it. */
export function mediaProblem(error: unknown): MediaProblem {
  const { name, message } = error instanceof Error || error instanceof DOMException ? error : new Error(String(error));
  switch (name) {
    case 'NotAllowedError':
    case 'SecurityError':
      return { code: 'denied', message };
    case 'NotFoundError':
    case 'OverconstrainedError':
      return { code: 'not-found', message };
    case 'NotReadableError':
    case 'AbortError':
      return { code: 'in-use', message };
    default:
      return { code: 'failed', message };
  }
}

/**
 * Opens camera and microphone, or the one of them that there is.
 *
 * @throws MediaError when neither can be had
 */
export async function open(video: boolean): Promise<MediaStream> {
  const { mediaDevices } = navigator;
  // Pages without TLS have none.
  if (!mediaDevices) throw new MediaError({ code: 'insecure', message: 'the page is not a secure context' });
  const chosen = remembered();
  const audioWish = wish('audio', chosen.audio);
  const attempts: MediaStreamConstraints[] = video
    ? [{ audio: audioWish, video: wish('video', chosen.video) }, { audio: audioWish }, { video: wish('video', chosen.video) }]
    : [{ audio: audioWish }];
  let first: MediaProblem | undefined;
  for (const constraints of attempts) {
    try {
      return await mediaDevices.getUserMedia(constraints);
    } catch (error) {
      first ??= mediaProblem(error);
      // Only a device that is missing is a reason to ask for less; a refusal is not asked again.
      if (first.code !== 'not-found') break;
    }
  }
  throw new MediaError(first ?? { code: 'failed', message: 'no device' });
}

/** Opens one device of a kind, by its id, and remembers it. */
export async function openDevice(kind: Kind, deviceId: string): Promise<MediaStreamTrack> {
  const exact = { deviceId: { exact: deviceId } };
  const stream = await navigator.mediaDevices.getUserMedia(kind === 'video' ? { video: { ...VIDEO, ...exact } } : { audio: exact });
  const track = stream.getTracks()[0];
  if (!track) throw new MediaError({ code: 'failed', message: 'the device gave no track' });
  remember(kind, deviceId);
  return track;
}

/** Whether camera and microphone have been allowed already, so that asking takes no time. */
export async function allowed(video: boolean): Promise<boolean> {
  const names = video ? ['camera', 'microphone'] : ['microphone'];
  try {
    const states = await Promise.all(names.map((name) => navigator.permissions.query({ name: name as PermissionName })));
    return states.every(({ state }) => state === 'granted');
  } catch {
    // Not every browser tells about these two.
    return false;
  }
}

export async function devices(kind: MediaDeviceKind): Promise<MediaDeviceInfo[]> {
  const all = (await navigator.mediaDevices?.enumerateDevices()) ?? [];
  return all.filter((device) => device.kind === kind && device.deviceId !== '');
}

function wish(kind: Kind, deviceId: string | undefined): MediaTrackConstraints {
  const device = deviceId === undefined ? {} : { deviceId: { ideal: deviceId } };
  return kind === 'video' ? { ...VIDEO, ...device } : device;
}

function remembered(): Partial<Record<Kind, string>> {
  try {
    const { audio, video } = JSON.parse(localStorage.getItem(KEY) ?? '{}') as Record<string, unknown>;
    return { ...(typeof audio === 'string' && { audio }), ...(typeof video === 'string' && { video }) };
  } catch {
    return {};
  }
}

function remember(kind: Kind, deviceId: string): void {
  localStorage.setItem(KEY, JSON.stringify({ ...remembered(), [kind]: deviceId }));
}
