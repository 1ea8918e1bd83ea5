import type { Strings } from './strings.ts';

/** The particle that fits the word: the first after a final consonant, the second after a vowel. */
function particle(word: string, consonant: string, vowel: string): string {
  const syllable = (word.codePointAt(word.length - 1) ?? 0) - 0xac00;
  if (syllable < 0 || syllable >= 11_172) return `${word}${consonant}(${vowel})`;
  return word + (syllable % 28 === 0 ? vowel : consonant);
}

export const ko: Strings = {
  itself: '한국어',

  tagline: '한 방에, 두 사람.',
  lead: '방 이름을 정해 한 사람에게 알려 주세요. 영상과 소리는 두 사람 사이에서 바로 오갑니다.',
  room: '방 이름',
  roomPlaceholder: '예: 현관',
  watchOnly: '카메라와 마이크 없이 보기만 하기',
  join: '입장',
  language: '언어',

  yourVideo: '내 영상',
  peerVideo: '상대방 영상',
  you: '나',
  controls: '통화 조작',
  mute: '음소거',
  camera: '카메라 끄기',
  devices: '장치',
  sound: '소리 끄기',
  fullScreen: '전체 화면',
  snapshot: '사진 저장',
  copyLink: '링크 복사',
  copied: '복사됨',
  hangUp: '끊기',
  leave: '나가기',

  invite: '이야기할 사람에게 이 링크를 보내세요',
  soundOnly: '소리만 나옵니다',
  onlyWatching: '상대방은 보기만 하고 있습니다',
  noPicture: '아직 영상이 없습니다',
  kept: (file) => `‘${file}’ 파일로 저장했습니다`,
  noFullScreen: '브라우저가 전체 화면을 허용하지 않습니다.',

  tryAgain: '다시 시도',
  callAgain: '다시 통화',
  answer: '받기',
  audioOnly: '마이크만으로 입장',
  joinToWatch: '보기만 하러 입장',
  soundOn: '소리 켜기',

  devicesTitle: '장치',
  cameraDevice: '카메라',
  microphoneDevice: '마이크',
  speakerDevice: '스피커',
  unnamedDevice: (number) => `장치 ${number}`,
  close: '완료',

  status: {
    idle: '준비되었습니다.',
    asking: '카메라와 마이크 사용을 허용해 주세요.',
    connecting: '브로커에 연결하는 중…',
    unreachable: '브로커에 연결할 수 없습니다. 다시 시도하는 중…',
    joining: '방에 들어가는 중…',
    unanswered: '브로커에는 연결되었지만 자리를 배정하는 응답이 없습니다. 다시 요청하는 중…',
    waiting: '상대방을 기다리는 중입니다.',
    negotiating: (who) => `${particle(who, '이', '가')} 들어왔습니다. 통화를 준비하는 중…`,
    connected: (who) => `${particle(who, '과', '와')} 연결되었습니다.`,
    interrupted: '통화가 끊겼습니다. 다시 잇는 중…',
    reconnecting: '브로커와 연결이 끊겼습니다. 다시 연결하는 중…',
    reconnectingInCall: '통화는 계속되지만 브로커와 연결이 끊겼습니다. 다시 연결하는 중…',
    left: '상대방이 나갔습니다. 누군가 들어오기를 기다립니다.',
    lost: '상대방의 연결이 끊겼습니다. 돌아오기를 기다립니다.',
    removed: '운영자가 상대방을 내보냈습니다. 누군가 들어오기를 기다립니다.',
    over: '통화가 끝났습니다. 두 사람 모두 아직 방에 있습니다.',
    ringing: (who) => `${particle(who, '이', '가')} 다시 통화하고 싶어 합니다.`,
    full: (room) => `‘${room}’ 방이 찼습니다. 이미 두 사람이 있습니다.`,
    allTaken: (camera) => `‘${camera}’ 카메라를 볼 수 있는 자리가 모두 찼습니다.`,
    takenOver: '다른 탭이 이 자리를 가져갔습니다.',
    refused: (message) => `브로커가 이 페이지의 접속을 거부했습니다: ${message}`,
    roomRefused: (room, message) => `${room} 방에 들어갈 수 없습니다: ${message}`,
    linkRefused: '이 링크로는 들어갈 수 없습니다. 기한이 지났거나 이곳에 맞지 않는 링크입니다. 새 링크를 요청하세요.',
    loginRefused: '초대 없이는 들어갈 수 없는 브로커입니다. 초대 링크를 요청하세요.',
    closedRemoved: '운영자가 이 방에서 내보냈습니다.',
    closedRoom: '운영자가 방을 닫았습니다.',
    closedReplaced: '오래 자리를 비워 다른 사람이 자리를 차지했습니다.',
    goodbye: '방에서 나왔습니다.',
  },

  who: { other: '상대방', camera: '카메라' },
  kinds: { camera: '카메라', doorbell: '초인종' },

  media: {
    denied: '브라우저에서 카메라와 마이크 사용이 거부되었습니다. 주소창 옆에서 허용한 뒤 다시 시도하세요.',
    notFound: '카메라도 마이크도 찾지 못했습니다.',
    inUse: '카메라나 마이크를 열 수 없습니다. 다른 프로그램이 사용 중일 수 있습니다.',
    insecure: '브라우저는 https:// 또는 localhost 페이지에만 카메라와 마이크를 허용합니다.',
    failed: (message) => `카메라와 마이크를 열 수 없습니다: ${message}`,
    choices: '없이도 입장할 수 있습니다.',
    noCamera: '카메라가 없어 상대방은 소리만 듣습니다.',
    noMicrophone: '마이크가 없어 상대방은 영상만 봅니다.',
    audioOnlyChosen: '카메라를 쓰지 않아 상대방은 소리만 듣습니다.',
    watching: '보기만 하는 중입니다. 아무도 나를 보거나 들을 수 없습니다.',
    stopped: '장치가 멈췄습니다. ‘장치’에서 다른 것을 고르세요.',
    switchFailed: '이 장치를 열 수 없어 이전 장치를 계속 씁니다.',
    soundBlocked: '버튼을 누를 때까지 브라우저가 소리를 꺼 둡니다.',
  },

  relayMissing: '이 페이지는 중계 서버만 쓰게 되어 있는데 브로커가 알려 준 중계 서버가 없어 통화할 수 없습니다. 중계 서버를 설정하거나 주소에서 &relay를 지우세요.',
  callError: (message) => `통화에 문제가 생겼습니다: ${message}`,
  brokerError: (message) => `브로커의 알림: ${message}`,

  name: {
    empty: '방 이름을 적어 주세요. 예: ‘현관’',
    dollar: '방 이름은 $로 시작할 수 없습니다. 글자나 숫자로 시작하세요.',
    'outer-space': '방 이름은 공백으로 시작하거나 끝날 수 없습니다.',
    reserved: '쓸 수 없는 이름입니다. 다른 이름을 고르세요.',
    tooLong: (bytes, most) => `방 이름이 너무 깁니다: ${bytes}바이트, 최대 ${most}바이트입니다. 더 짧게 적어 주세요.`,
    character: (character) => `방 이름에는 ${character} 문자를 쓸 수 없습니다. 글자, 숫자, 공백, -, _ 는 어떤 언어든 괜찮습니다.`,
  },
};
