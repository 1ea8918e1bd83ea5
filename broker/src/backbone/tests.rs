use super::*;
use std::future::Future;

/// Ten times what the commit log keeps, from a producer that never looks back: all of it
/// arrives, in order.
#[tokio::test]
async fn a_slow_reader_loses_nothing() {
    let (uplink, mut downlink) = start().unwrap();
    let pump = tokio::spawn({
        let uplink = uplink.clone();
        async move { uplink.pump(|_| panic!("none is alone")).await }
    });
    let total: u32 = 80;
    let body = vec![7; 128 * 1024];
    for number in 0..total {
        uplink.push(|out| {
            out.put_u32(number);
            out.put_slice(&body);
        });
    }
    let mut expected = 0;
    while expected < total {
        for frame in downlink.next().await.unwrap().into_iter().flatten() {
            assert_eq!(frame[..4], expected.to_be_bytes(), "in order and without a gap");
            assert_eq!(frame[4..], body);
            expected += 1;
        }
        tokio::task::yield_now().await;
    }
    assert!(uplink.is_idle());
    pump.abort();
}

#[derive(Debug, Clone)]
enum Step {
    Push(usize),
    Pump,
    Take,
}

/// Sessions, the pump and the downlink take turns as they like: all of it arrives, in order.
#[test]
fn frames_keep_their_order_whether_they_cross_or_not() {
    use proptest::prelude::*;
    let step = prop_oneof![
        4 => prop_oneof![5usize..400, 5usize..BATCH, BATCH..3 * BATCH].prop_map(Step::Push),
        3 => Just(Step::Pump),
        1 => Just(Step::Take),
    ];
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    proptest!(ProptestConfig::with_cases(64), |(steps in proptest::collection::vec(step, 1..60))| {
        let (pushed, arrived) = runtime.block_on(play(steps));
        assert_eq!(arrived, (0..pushed).collect::<Vec<u32>>());
    });
}

/// How many frames were pushed, and those that arrived by their numbers.
async fn play(steps: Vec<Step>) -> (u32, Vec<u32>) {
    let (uplink, mut downlink) = start().unwrap();
    let arrived = std::cell::RefCell::new(Vec::new());
    let arrive = |batch: Batch<'_>| {
        arrived.borrow_mut().extend(batch.map(|mut frame| frame.get_u32()));
    };
    let mut pump = std::pin::pin!(uplink.pump(arrive));
    let mut pushed = 0;
    let to_the_end = (0..).map(|number| if number % 2 == 0 { Step::Pump } else { Step::Take });
    for step in steps.into_iter().map(Some).chain(to_the_end.map(|step| (!uplink.is_idle()).then_some(step))) {
        match step {
            None => break,
            Some(Step::Push(size)) => {
                uplink.push(|out| {
                    out.put_u32(pushed);
                    out.put_bytes(0, size);
                });
                pushed += 1;
            }
            Some(Step::Pump) => {
                poll_fn(|context| Poll::Ready(pump.as_mut().poll(context).is_ready())).await;
            }
            Some(Step::Take) if uplink.0.lock().in_flight > 0 => {
                downlink.next().await.unwrap().into_iter().for_each(arrive);
            }
            Some(Step::Take) => {}
        }
    }
    (pushed, arrived.take())
}

#[tokio::test]
async fn a_batch_that_is_all_there_is_does_not_cross() {
    let (uplink, mut downlink) = start().unwrap();
    let mut sizes = Vec::new();
    let pump = |sizes: &mut Vec<usize>| {
        let mut pump = std::pin::pin!(uplink.pump(|batch| sizes.extend(batch.map(|frame| frame.len()))));
        assert!(pump.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
    };
    let push = |size| uplink.push(|out| out.put_bytes(0, size));
    push(10);
    push(20);
    pump(&mut sizes);
    assert!(uplink.is_idle());
    push(BATCH);
    push(30);
    pump(&mut sizes);
    push(40);
    pump(&mut sizes);
    assert_eq!(sizes, [10, 20], "the others cross");
    while !uplink.is_idle() {
        sizes.extend(downlink.next().await.unwrap().into_iter().flatten().map(|frame| frame.len()));
    }
    push(2 * BATCH);
    pump(&mut sizes);
    assert_eq!(sizes, [10, 20, BATCH, 30, 40, 2 * BATCH]);
}

#[tokio::test]
async fn what_waits_crosses_together_and_a_frame_that_is_kept_keeps_little_else() {
    let (uplink, mut downlink) = start().unwrap();
    let sizes = [10, 0, 300, 3 * BATCH, 20, BATCH, 5];
    for size in sizes {
        uplink.push(|out| out.put_bytes(u8::try_from(size % 251).unwrap(), size));
    }
    uplink.0.lock().hand_over().unwrap();
    let mut batches = Vec::new();
    while batches.iter().map(Vec::len).sum::<usize>() < sizes.len() {
        let batch = downlink.next().await.unwrap();
        batches.extend(batch.map(|batch| batch.collect::<Vec<Bytes>>()));
    }
    assert_eq!(batches.iter().map(Vec::len).collect::<Vec<_>>(), [4, 2, 1]);
    let frames: Vec<Bytes> = batches.into_iter().flatten().collect();
    assert_eq!(frames.iter().map(Bytes::len).collect::<Vec<_>>(), sizes);
    for frame in frames {
        let size = frame.len();
        assert!(frame.iter().all(|byte| usize::from(*byte) == size % 251));
        // The long ones are views of their batches, which the router's log keeps as well.
        assert!(size >= BATCH || [0, 5].contains(&size) || frame.is_unique(), "{size}");
    }
}

#[tokio::test]
async fn the_window_closes_and_opens() {
    let (uplink, mut downlink) = start().unwrap();
    let room = |uplink: &Uplink| uplink.has_room(Class::Ordinary);
    assert!(room(&uplink));
    for _ in 0..5 {
        uplink.push(|out| out.put_bytes(0, 128 * 1024));
    }
    assert!(!room(&uplink), "more than the window waits");
    uplink.0.lock().hand_over().unwrap();
    assert_eq!(uplink.0.lock().waiting.len(), 1, "only the window's worth went to the router");
    let mut seen = 0;
    while seen < 4 {
        seen += usize::from(downlink.next().await.unwrap().is_some());
    }
    assert!(room(&uplink));
}

/// Counts its wakes.
#[derive(Default)]
struct Sleeper(std::sync::atomic::AtomicUsize);

impl std::task::Wake for Sleeper {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
    }
}

#[tokio::test]
async fn who_waits_for_room_is_woken_in_line_and_the_held_back_last() {
    let (uplink, _downlink) = start().unwrap();
    uplink.push(|out| out.put_bytes(0, WINDOW));
    let sleepers: Vec<Arc<Sleeper>> = (0..8).map(|_| Arc::default()).collect();
    let woken = || -> Vec<usize> { sleepers.iter().map(|s| s.0.load(std::sync::atomic::Ordering::Relaxed)).collect() };
    let mut places = [None; 8];
    let mut wait = |number: usize| {
        let waker = Waker::from(sleepers[number].clone());
        let class = if number < 2 { Class::HeldBack } else { Class::Ordinary };
        uplink.poll_room(&mut Context::from_waker(&waker), class, &mut places[number]).is_pending()
    };
    assert!((0..8).all(&mut wait), "there is no room");
    // A little goes through: four of the ordinary ones are woken, in the order in which they came.
    {
        let mut inner = uplink.0.lock();
        (inner.waiting_bytes, inner.in_flight) = (0, WINDOW + 10);
    }
    uplink.release(20);
    assert_eq!(woken(), [0, 0, 1, 1, 1, 1, 0, 0]);
    // One of them finds the room taken again; it keeps its place before those who have waited less.
    uplink.0.lock().in_flight = WINDOW + 10;
    assert!(wait(5) && wait(2));
    uplink.release(20);
    assert_eq!(woken(), [0, 0, 2, 1, 1, 2, 1, 1]);
    // The held back come when the window is nearly empty.
    uplink.0.lock().in_flight = WINDOW_HELD_BACK + 10;
    uplink.release(5);
    assert_eq!(woken()[..2], [0, 0]);
    uplink.release(10);
    assert_eq!(woken()[..2], [1, 1]);
    assert!(uplink.0.lock().line.is_empty());
}
