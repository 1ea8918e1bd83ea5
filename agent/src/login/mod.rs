//! Lets people in: what [`access::authenticate`](crate::access::authenticate) decides, done in time.
//!
//! Checking a password takes tens of milliseconds and 19 MiB on purpose, so it happens beside the
//! event loop, two at once, behind a line that is bounded as a whole and for each address. Failures
//! are counted where the check ends, also if the one who asked has not waited for the answer.

pub mod files;
pub mod operator;
pub mod watch;

use crate::access::Grant;
use crate::access::authenticate::throttle::{Attempt, Throttle, Verdict};
use crate::access::authenticate::{Claim, Denied, Person, Step, Ways, tokens};
use crate::access::source::{Exempt, Source};
use files::{Access, FilesError};
use parking_lot::{Mutex, RwLock};
use protocol::Timestamp;
use std::collections::HashMap;
use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};
use tokio::sync::Semaphore;
use tokio::time::sleep;
use zeroize::Zeroizing;

/// Passwords that are checked at once.
const CHECKS: usize = 2;
/// Checks that may wait.
const MAX_LINE: usize = 64;
/// Checks that may wait for one address which does not stand for many.
const MAX_LINE_OF_ADDRESS: usize = 8;

/// Why somebody is not let in.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotLetIn {
    /// For what it shows.
    #[error(transparent)]
    Denied(#[from] Denied),
    /// It has failed too often; nothing was checked.
    #[error("too many failures; try again in {} s", .0.as_secs().max(1))]
    TooOften(Duration),
    /// Too many passwords wait for being checked.
    #[error("too many log in at once; try again")]
    Busy,
}

/// See the module.
pub struct Login {
    access: Access,
    state_dir: PathBuf,
    ways: RwLock<Arc<Ways>>,
    throttle: Mutex<Throttle>,
    checks: Arc<Semaphore>,
    line: Mutex<Line>,
    exempt: Exempt,
}

#[derive(Default)]
struct Line {
    all: usize,
    by_address: HashMap<Source, usize>,
}

/// A place in the line, given up when it is dropped.
struct Place<'a> {
    line: &'a Mutex<Line>,
    address: Source,
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        let mut line = self.line.lock();
        line.all -= 1;
        if let Some(count) = line.by_address.get_mut(&self.address) {
            *count -= 1;
            if *count == 0 {
                line.by_address.remove(&self.address);
            }
        }
    }
}

impl Login {
    /// Reads the files. Addresses that are exempt stand for many, as that of a proxy does.
    ///
    /// # Errors
    /// If one cannot be used.
    pub fn new(access: Access, state_dir: PathBuf, exempt: Exempt) -> Result<Self, FilesError> {
        let ways = access.ways(&state_dir)?;
        Ok(Self {
            access,
            state_dir,
            ways: RwLock::new(Arc::new(ways)),
            throttle: Mutex::new(Throttle::default()),
            checks: Arc::new(Semaphore::new(CHECKS)),
            line: Mutex::new(Line::default()),
            exempt,
        })
    }

    /// The ways in as they are now.
    pub fn ways(&self) -> Arc<Ways> {
        self.ways.read().clone()
    }

    /// The files that are to be read again when they change.
    pub fn files(&self) -> impl Iterator<Item = &PathBuf> {
        self.access.files()
    }

    /// Reads the files again. Whoever was let in before is to be looked at: [`Self::still_admits`].
    ///
    /// # Errors
    /// If one cannot be used; the ways stay as they were.
    pub fn reload(&self) -> Result<(), FilesError> {
        let mut ways = self.access.ways(&self.state_dir)?;
        let mut current = self.ways.write();
        if let (Some(users), Some(before)) = (ways.users.take(), &current.users) {
            ways.users = Some(users.replacing(before));
        }
        *current = Arc::new(ways);
        Ok(())
    }

    /// Whether what somebody was given still holds.
    pub fn still_admits(&self, grant: Option<&Arc<Grant>>) -> bool {
        grant.is_none() || self.ways.read().still_admits(grant)
    }

    /// Finds out who somebody at `address` is; takes as long as it takes. Cancel-safe: what was
    /// begun is counted all the same.
    ///
    /// # Errors
    /// Why it is not let in.
    pub async fn recognise(self: &Arc<Self>, claim: Claim<'_>, address: IpAddr) -> Result<Person, NotLetIn> {
        let ways = self.ways();
        let user = claim.user.filter(|user| !user.is_empty());
        let password = claim.password.filter(|password| !password.is_empty());
        if user.is_none() && password.is_none() {
            return match ways.judge(claim, wall())? {
                Step::Known(person) => Ok(person), // nothing was said that could be guessed
                Step::Check(_) => Err(Denied::Credentials.into()),
            };
        }
        let is_token = ways.tokens.is_some() && password.is_some_and(tokens::is_token);
        let is_exempt = self.exempt.source(address).is_none();
        let attempt = Attempt { address: address.into(), is_exempt, user: user.filter(|_| !is_token) };
        self.wait_for_its_time(attempt).await?;
        let check = match ways.judge(claim, wall()) {
            Ok(Step::Known(person)) => {
                self.throttle.lock().succeeded(attempt);
                return Ok(person);
            }
            Ok(Step::Check(check)) => check,
            Err(denied) => {
                if denied.is_guess() {
                    let hold = self.throttle.lock().failed(attempt, instant());
                    sleep(hold).await;
                }
                return Err(denied.into());
            }
        };
        let place = self.enter_line(attempt)?;
        let permit = loop {
            let permit = self.checks.clone().acquire_owned().await.map_err(|_| NotLetIn::Busy)?;
            // Others may have failed in this name since.
            if self.verdict(attempt) == Verdict::Now {
                break permit;
            }
            drop(permit);
            self.wait_for_its_time(attempt).await?;
        };
        drop(place);
        let name = user.unwrap_or_default().to_owned();
        let password = Zeroizing::new(password.unwrap_or_default().to_vec());
        let login = self.clone();
        let from = without_user(attempt);
        let checked = tokio::task::spawn_blocking(move || {
            let is_right = check.run(&password);
            let attempt = Attempt { user: Some(&name), ..from };
            let mut throttle = login.throttle.lock();
            let hold = if is_right {
                throttle.succeeded(attempt);
                Duration::ZERO
            } else {
                throttle.failed(attempt, instant())
            };
            drop((throttle, permit));
            (ways.checked(&name, is_right), hold)
        });
        let (person, hold) = checked.await.map_err(|_| NotLetIn::Busy)?;
        sleep(hold).await;
        Ok(person?)
    }

    fn verdict(&self, attempt: Attempt<'_>) -> Verdict {
        self.throttle.lock().ask(attempt, instant())
    }

    async fn wait_for_its_time(&self, attempt: Attempt<'_>) -> Result<(), NotLetIn> {
        loop {
            match self.verdict(attempt) {
                Verdict::Now => return Ok(()),
                Verdict::Hold(time) => sleep(time).await,
                Verdict::TurnedAway(time) => return Err(NotLetIn::TooOften(time)),
            }
        }
    }

    fn enter_line(&self, attempt: Attempt<'_>) -> Result<Place<'_>, NotLetIn> {
        let mut line = self.line.lock();
        let address = attempt.address;
        let of_address = line.by_address.get(&address).copied().unwrap_or(0);
        if line.all >= MAX_LINE || !attempt.is_exempt && of_address >= MAX_LINE_OF_ADDRESS {
            return Err(NotLetIn::Busy);
        }
        line.all += 1;
        *line.by_address.entry(address).or_default() += 1;
        Ok(Place { line: &self.line, address })
    }
}

#[expect(clippy::disallowed_methods, reason = "here the clock comes in")]
/// The time of day.
pub(crate) fn wall() -> Timestamp {
    Timestamp::from(SystemTime::now())
}

#[expect(clippy::disallowed_methods, reason = "here the clock comes in")]
fn instant() -> Instant {
    Instant::now()
}

/// The attempt without what it borrows.
fn without_user(attempt: Attempt<'_>) -> Attempt<'static> {
    Attempt { address: attempt.address, is_exempt: attempt.is_exempt, user: None }
}
