//! Rebuilding the views from position 0 beside the running ones.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use tokio::sync::{mpsc, oneshot};

use super::Shared;
use super::error::{OpenError, RebuildError};
use super::recovery::fold_up_to;
use super::writer::Work;
use crate::view::{Frozen, Views};

/// How many records are folded before it is looked whether the server stops.
const RECORDS_AT_ONCE: u64 = 65_536;

/// What a rebuild found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rebuilt {
    /// Position at which the views were compared.
    pub position: u64,
    /// Digest of the views that ran.
    pub running_digest: [u8; 32],
    /// Digest of the views folded anew.
    pub rebuilt_digest: [u8; 32],
    /// Number of cases.
    pub cases: usize,
}

pub(super) async fn rebuild(
    shared: &Arc<Shared>,
    queue: impl Fn() -> Result<mpsc::Sender<Work>, RebuildError>,
) -> Result<Rebuilt, RebuildError> {
    let beside = Arc::clone(shared);
    let views = blocking(move || fold_beside(&beside)).await?;
    let (reply, swapped) = oneshot::channel();
    // Between two commits nothing is written, so that both are at the same position there.
    let swap = Box::new(move |shared: &Shared| {
        let _ = reply.send(swap(shared, views));
    });
    // The queue is not held while the log is folded: a server that stops waits for it to close.
    queue()?
        .send(Work::Between(swap))
        .await
        .map_err(|_| RebuildError::Stopped)?;
    let (running, rebuilt) = swapped
        .await
        .map_err(|_| RebuildError::Stopped)?
        .map_err(RebuildError::Fold)?;
    let (position, cases) = (rebuilt.position(), rebuilt.cases().len());
    let digest = |views: Frozen| blocking(move || Ok(views.digest()));
    let (running_digest, rebuilt_digest) = tokio::try_join!(digest(running), digest(rebuilt))?;
    Ok(Rebuilt {
        position,
        running_digest,
        rebuilt_digest,
        cases,
    })
}

/// Folds the log into new views up to what is there by the end of it.
fn fold_beside(shared: &Shared) -> Result<Views, RebuildError> {
    let mut views = Views::with_room_for(*shared.head.borrow());
    loop {
        let head = *shared.head.borrow();
        if views.position() >= head {
            return Ok(views);
        }
        if shared.stopping.load(Ordering::Relaxed) {
            return Err(RebuildError::Stopped);
        }
        let next = head.min(views.position().saturating_add(RECORDS_AT_ONCE));
        fold_up_to(shared.log.as_ref(), &mut views, next).map_err(RebuildError::Fold)?;
    }
}

/// Folds what has come since, and puts the new views in the place of the running ones.
fn swap(shared: &Shared, mut rebuilt: Views) -> Result<(Frozen, Frozen), OpenError> {
    let head = *shared.head.borrow();
    fold_up_to(shared.log.as_ref(), &mut rebuilt, head)?;
    let new = rebuilt.frozen();
    let old = {
        let mut views = shared.views_mut();
        let old = views.frozen();
        *views = rebuilt;
        old
    };
    Ok((old, new))
}

async fn blocking<T: Send + 'static>(
    task: impl FnOnce() -> Result<T, RebuildError> + Send + 'static,
) -> Result<T, RebuildError> {
    tokio::task::spawn_blocking(task)
        .await
        .unwrap_or(Err(RebuildError::Stopped))
}
