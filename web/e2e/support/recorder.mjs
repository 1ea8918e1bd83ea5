// Runs in every page before the page's own script, and notes what the page does.
//
// It is sent to the browser as text, so it may use nothing from outside of the function.

/**
 * @typedef {object} Record
 * @property {RTCPeerConnection[]} connections every one that the page made
 * @property {MediaStreamConstraints[]} asked every call of getUserMedia
 * @property {string[]} states every state of the status line, in their order
 * @property {string[]} violations of the Content-Security-Policy
 * @property {number | undefined} clickedJoin when Join was clicked, in the page's time
 * @property {number | undefined} firstFrame when the first picture of the other one was there, in the page's time
 */

export function recorder() {
  /** @type {Record} */
  const record = { connections: [], asked: [], states: [], violations: [], clickedJoin: undefined, firstFrame: undefined };
  Object.assign(window, { record });

  // Test traffic stays on the loopback interface: the machine's other addresses are not heard of.
  const loopback = (/** @type {string | undefined} */ candidate) => !candidate || candidate.includes(' 127.0.0.1 ');
  window.RTCPeerConnection = class extends RTCPeerConnection {
    /** @param {RTCConfiguration} [configuration] */
    constructor(configuration) {
      super(configuration);
      record.connections.push(this);
    }

    /**
     * @override
     * @param {RTCIceCandidateInit | RTCIceCandidate | null} [candidate]
     */
    async addIceCandidate(candidate) {
      if (loopback(candidate?.candidate)) await super.addIceCandidate(candidate);
    }

    /**
     * @override
     * @param {RTCSessionDescriptionInit} description
     */
    async setRemoteDescription({ type, sdp = '' }) {
      const lines = sdp.split('\r\n').filter((line) => !line.startsWith('a=candidate:') || loopback(line));
      await super.setRemoteDescription({ type, sdp: lines.join('\r\n') });
    }
  };

  const { mediaDevices } = navigator;
  if (mediaDevices) {
    const getUserMedia = mediaDevices.getUserMedia.bind(mediaDevices);
    mediaDevices.getUserMedia = (constraints) => {
      record.asked.push(constraints ?? {});
      return getUserMedia(constraints);
    };
  }

  document.addEventListener('securitypolicyviolation', ({ violatedDirective, blockedURI, sourceFile, lineNumber }) => {
    record.violations.push(`${violatedDirective} forbids ${blockedURI} (${sourceFile}:${lineNumber})`);
  });

  const status = () => document.querySelector('#status')?.getAttribute('data-state') ?? undefined;
  new MutationObserver(() => {
    const now = status();
    if (now !== undefined && now !== record.states.at(-1)) record.states.push(now);
  }).observe(document, { subtree: true, childList: true, attributes: true, attributeFilter: ['data-state'] });

  document.addEventListener('click', ({ target }) => {
    if (target instanceof Element && target.closest('#join')) record.clickedJoin = performance.now();
  }, true);
  document.addEventListener('DOMContentLoaded', () => {
    const video = document.querySelector('#peer-video');
    if (video instanceof HTMLVideoElement) video.requestVideoFrameCallback((now) => (record.firstFrame = now));
  });
}
