import Cluster
import Logging
import OrderedCollections
import Scheduling
import Wire

/// What workers report is checked before the scheduler sees it.
extension Coordinator {
    /// The events that one message stands for: a message with several receipts is as many events, each with its digest
    /// and what is wrong with it.
    func checked(_ event: Scheduler.Event) -> [Scheduler.Event] {
        guard case .message(let worker, let message, let payload) = event else { return [event] }
        if case .training(let round, let report) = message {
            // The next round states again what this one knew.
            let failed = TrainingReport.failed(
                reason: "a training report is invalid, or its checkpoint is not at the coordinator", fatal: false,
                input: nil)
            return isPlausible(report)
                ? [event] : [.message(worker: worker, .training(round: round, failed), payload: payload)]
        }
        guard case .receipts(let receipts) = message else { return [event] }
        return receipts.map { receipt in
            .receipt(worker: worker, receipt, digest: ReceiptCheck.digest(receipt), unacceptable: error(in: receipt))
        }
    }

    /// A checkpoint must be stored before it is reported, and numbers must be such as training gives.
    private func isPlausible(_ report: TrainingReport) -> Bool {
        let steps = Int64(0)...Int64(1) << 53
        let isPlausible: Bool
        switch report {
        case .checkpoint(let digest, let step, let metrics):
            isPlausible =
                blobs.has(digest) && steps.contains(step) && metrics.allSatisfy(EvaluationCheck.isPlausible)
            if isPlausible { blobs.arrived(digest) }
        case .finished(let digest, let step, let test, let truncated, let evaluation):
            isPlausible =
                blobs.has(digest) && steps.contains(step) && truncated >= 0 && EvaluationCheck.isPlausible(test)
                && evaluation.map { $0.test.metrics == test && EvaluationCheck.isPlausible($0) } ?? true
            if isPlausible { blobs.arrived(digest) }
        case .progress(let step, let epoch, let stepsPerEpoch, let rate, let loss):
            isPlausible =
                steps.contains(step) && steps.contains(stepsPerEpoch) && (0...1 << 32).contains(epoch)
                && (0...1e9).contains(rate) && loss.isFinite
        case .failed: isPlausible = true
        }
        if !isPlausible {
            log.warning("a training report is invalid, or its checkpoint is not here: \("\(report)".prefix(2000))")
        }
        return isPlausible
    }

    /// Why a receipt cannot be right; nil where nothing speaks against it.
    private func error(in receipt: Receipt) -> String? {
        guard let extent = core.scheduler.leases.extent(receipt.lease.task), let job = core.scheduler.jobs[extent.job]
        else { return nil }
        do {
            switch job.stage {
            case .specs:
                guard let id = extent.unit.file, let file = try files.file(id) else {
                    return "its file is not in the ledger"
                }
                let boundaries = file.boundaries(extent)
                try ReceiptCheck.specs(receipt, boundaries: boundaries, branches: try files.plan(job.id).branches)
                count(receipt, job.id, file, boundaries)
            case .survey: try ReceiptCheck.survey(receipt)
            case .list: try ReceiptCheck.list(receipt)
            case .queued, .train, .evaluate, .publish, .done, .failed, .cancelled:
                return "its job is in the stage \(job.stage.rawValue), which has no tasks"
            }
            return nil
        } catch { return "\(error)" }
    }

    /// Adds a receipt that will be counted to its site's traffic.
    private func count(_ receipt: Receipt, _ job: JobID, _ file: GrantCache.Entry, _ boundaries: ArraySlice<Int64>) {
        guard case .counted(let bytes, _) = receipt.result, core.scheduler.leases.check(receipt.lease) == .count,
            let first = boundaries.first, let end = boundaries.last
        else { return }
        traffic[job]?.add(site: file.site, events: end - first, bytes: Int64(max(0, min(bytes, 1 << 50))))
    }
}
