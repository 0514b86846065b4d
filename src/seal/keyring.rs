//! The keyring: the keys of subjects while the service runs.
//!
//! It seals and opens; whose the keys are, and where they are, is in `shared`.

use std::fmt;
use std::pin::pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use hmac::Mac;
use sha2::{Digest, Sha256};
use uuid::Uuid;

use super::error::{KeyError, SealError};
use super::key::SubjectKey;
use super::maker;
use super::shared::{Handed, Shared};
use super::store::{KeyStore, Mark};
use super::unrecorded::NewKeys;
use super::value::{self, Bond};
use crate::wire::v1::{PersonalValue, SealedPersonal, SealedValue};
use crate::wire::validate::{Personal, Submission};

/// The keys of subjects.
pub struct Keyring {
    shared: Arc<Shared>,
    maker: Mutex<Option<JoinHandle<()>>>,
}

/// Why a sealed value can't be opened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Unopened {
    /// Its subject's data was erased.
    Erased,
    /// The key store never had its key, or the key is damaged there.
    KeyNotHere,
    /// Its key does not open it: it was changed, or moved to where it does not belong.
    Damaged,
    /// The key store can't be read.
    Unavailable {
        /// Why.
        cause: String,
    },
}

impl Keyring {
    /// The keys of a store that was told what the log says.
    ///
    /// # Errors
    /// The thread that makes keys can't be started.
    pub fn start(store: KeyStore) -> Result<Self, KeyError> {
        let shared = Arc::new(Shared::new(store));
        let maker = std::thread::Builder::new()
            .name("key maker".to_owned())
            .spawn({
                let shared = Arc::clone(&shared);
                move || maker::run(&shared)
            })
            .map_err(KeyError::Thread)?;
        Ok(Self {
            shared,
            maker: Mutex::new(Some(maker)),
        })
    }

    /// Seals the personal values of a submission, and makes its digest cover them by marks that nobody
    /// can make who has not the keys. Returns the keys that are to be told to [`Keyring::recorded`].
    ///
    /// # Errors
    /// A subject whose data was erased, or a store that can't be used. The submission is then no longer
    /// whole.
    pub async fn seal(&self, submission: &mut Submission) -> Result<NewKeys, SealError> {
        let mut new_keys = NewKeys::default();
        let mut digest = Sha256::new();
        digest.update(submission.digest);
        for change in &mut submission.changes {
            for event in &mut change.events {
                let values = event.take_personal();
                for (place, value) in values.iter().enumerate() {
                    let subject = value.subject;
                    let is_first = !values.iter().take(place).any(|it| it.subject == subject);
                    if is_first {
                        let key = match self.key_to_seal(subject).await? {
                            Handed::Known(key) => key,
                            Handed::New(new) => {
                                let key = Arc::clone(&new.key);
                                new_keys.0.push((subject, new));
                                key
                            }
                        };
                        let of_subject = values.iter().filter(|it| it.subject == subject);
                        let (case_id, event_id) = (change.case_id, event.event_id());
                        let (sealed, mark) =
                            seal_values(&key, case_id, event_id, subject, of_subject)?;
                        digest.update(mark);
                        event.add_sealed(sealed);
                    }
                }
            }
        }
        submission.digest = digest.finalize().into();
        Ok(new_keys)
    }

    /// Takes in that durable records name these keys. To be told before anybody can see those records,
    /// and before a mark behind them.
    pub fn recorded<'a>(&self, keys: impl IntoIterator<Item = &'a NewKeys>) {
        self.shared
            .recorded(keys.into_iter().flat_map(|keys| &keys.0));
    }

    /// Opens one value of those of a subject in an event.
    ///
    /// # Errors
    /// See [`Unopened`].
    pub fn open(
        &self,
        case_id: Uuid,
        event_id: Uuid,
        sealed: &SealedPersonal,
        place: usize,
    ) -> Result<PersonalValue, Unopened> {
        let subject = Uuid::try_parse(&sealed.subject_id).map_err(|_| Unopened::Damaged)?;
        let value = sealed.values.get(place).ok_or(Unopened::Damaged)?;
        let class = value.personal_class();
        let key = self.shared.key_to_open(subject, sealed.key_id)?;
        let key = key.of_class(class).ok_or(Unopened::Damaged)?;
        let bond = Bond {
            case_id,
            event_id,
            subject,
            class,
            place: u32::try_from(place).map_err(|_| Unopened::Damaged)?,
        };
        let mut opened = value::open(key, &bond, &value.sealed).ok_or(Unopened::Damaged)?;
        opened.subject_id.clone_from(&sealed.subject_id);
        opened.personal_class = class.into();
        Ok(opened)
    }

    /// Whether a subject's data was erased.
    pub fn is_erased(&self, subject: Uuid) -> bool {
        self.shared.is_erased(subject)
    }

    /// Destroys the keys of subjects, durably: in memory at once, then in the store. Blocks.
    ///
    /// # Errors
    /// The store can't be written. The keys are out of use all the same, and are still to be destroyed:
    /// by another call, before a mark behind the erasure is given to [`Keyring::record`], or by a restart,
    /// since the log says so.
    pub fn erase(&self, subjects: &[Uuid]) -> Result<(), KeyError> {
        self.shared.erase(subjects)
    }

    /// Repeats in the store whose the keys are, and then that it does so for every record before the
    /// mark: of those [`Keyring::recorded`] was told already, and the keys that they erase are destroyed
    /// ([`Keyring::erase`]). Blocks.
    ///
    /// # Errors
    /// The store can't be written.
    pub fn record(&self, mark: Mark) -> Result<(), KeyError> {
        self.shared.record(mark)
    }

    /// Why values of new subjects can't be taken now; none where they can.
    pub fn unavailable(&self) -> Option<String> {
        self.shared.unavailable()
    }

    /// Ends the making of keys. Blocks; may be called again.
    pub fn close(&self) {
        self.shared.stop();
        let maker = self.maker.lock();
        let maker = maker.unwrap_or_else(PoisonError::into_inner).take();
        if maker.is_some_and(|maker| maker.join().is_err()) {
            tracing::error!("the thread that makes keys ended in a panic");
        }
        self.shared.filled.notify_waiters();
    }

    /// The key under which values of a subject are sealed; a new one where it has none.
    async fn key_to_seal(&self, subject: Uuid) -> Result<Handed, SealError> {
        if let Some(key) = self.shared.key_at_hand(subject)? {
            return Ok(key);
        }
        loop {
            let mut filled = pin!(self.shared.filled.notified());
            filled.as_mut().enable();
            if let Some(key) = self.shared.key_at_hand(subject)? {
                return Ok(key);
            }
            filled.await;
        }
    }
}

impl Drop for Keyring {
    fn drop(&mut self) {
        self.close();
    }
}

impl fmt::Debug for Keyring {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Keyring").finish_non_exhaustive()
    }
}

/// Seals the values of one subject in an event, and marks them.
fn seal_values<'a>(
    key: &SubjectKey,
    case_id: Uuid,
    event_id: Uuid,
    subject: Uuid,
    of_subject: impl Iterator<Item = &'a Personal>,
) -> Result<(SealedPersonal, [u8; 32]), SealError> {
    let mut marker = key.marker();
    let mut values = Vec::new();
    for (place, personal) in (0..).zip(of_subject) {
        let class = personal.class;
        let bond = Bond {
            case_id,
            event_id,
            subject,
            class,
            place,
        };
        let of_class = key.of_class(class).ok_or_else(|| SealError::Unavailable {
            cause: "a value has no class".to_owned(),
        })?;
        let sealed = value::seal(of_class, &bond, &personal.value, &mut marker)?;
        values.push(SealedValue {
            personal_class: class.into(),
            sealed: sealed.into(),
        });
    }
    let sealed = SealedPersonal {
        subject_id: subject.to_string(),
        key_id: key.id(),
        values,
    };
    Ok((sealed, marker.finalize().into_bytes().into()))
}
