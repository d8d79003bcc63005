import Cluster
import Sampling
import Scheduling
import Specs

extension World {
    func truth(_ id: JobID) throws -> Truth {
        let skipped = ledger.jobs[id]!.files.filter { $0.skipped != nil }.map(\.url)
        let key = "\(id) " + skipped.joined(separator: " ")
        if let known = truths[key] { return known }
        let job = jobs[id]!
        let truth = Truth(job, skipped: skipped) {
            LaneDealer.deal($0, lanes: job.description.train!.lanes, seed: job.description.split.seed)
        }
        guard truth.rowsSeenOnce else { throw SimWrong("job \(id): an epoch's steps do not see each row once") }
        truths[key] = truth
        return truth
    }

    /// When every job has ended: the results are those of one sequential pass, and what failed had a reason.
    func finalChecks() throws -> SimEnd {
        for (id, job) in ledger.jobs {
            for file in job.files where file.skipped != nil {
                guard job.description.onError == .skip, wasTroubled(file.url, id) else {
                    throw SimWrong("job \(id): \(file.url) was skipped without a reason: \(file.skipped!)")
                }
            }
            switch job.stage {
            case .done: try checkDone(id, job)
            case .cancelled: guard cancelled.contains(id) else { throw SimWrong("job \(id) was cancelled by nobody") }
            case .failed:
                let error = job.error ?? ""
                guard !error.isEmpty, isExcuse(error, id) else {
                    throw SimWrong("job \(id) failed without a reason: \(error)")
                }
            case .queued, .list, .survey, .specs, .train, .evaluate, .publish:
                throw SimWrong("job \(id) has not ended: it is in stage \(job.stage.rawValue)")
            }
            record.note(clock.now, "job \(id) \(job.stage.rawValue) \(job.error ?? "")")
        }
        return .fine
    }

    private func wasTroubled(_ url: String, _ id: JobID) -> Bool {
        let file = jobs[id]!.all.first { $0.url == url }!
        return file.isBroken || file.isDeadly || awaySites.contains(file.site) || deaths > 1
            || workers.contains(where: \.isFaulty)
    }

    private func isExcuse(_ error: String, _ id: JobID) -> Bool {
        if error == "no event is in the training part" {
            return (try? truth(id).schedule)??.blocks.allSatisfy { $0.rows.train == 0 } ?? false
        }
        if error.contains("no file is left to read") { return ledger.jobs[id]!.files.allSatisfy { $0.skipped != nil } }
        if error.contains("is broken") { return jobs[id]!.all.contains(where: \.isBroken) }
        if error.contains("workers died with it") { return deaths > 1 }
        if error.contains("is away") { return jobs[id]!.all.contains { awaySites.contains($0.site) } }
        if error.contains("everything wrong") { return workers.contains(where: \.isFaulty) }
        return error.contains("rounds in a row") && faultsMade > 10
    }

    private func checkDone(_ id: JobID, _ job: SimLedger.Job) throws {
        let truth = try truth(id)
        let files = job.files.filter { $0.skipped == nil }.sorted { ($0.dataset, $0.url) < ($1.dataset, $1.url) }
        guard files.map(\.url) == truth.files.map(\.file.url) else {
            throw SimWrong("job \(id) read the files \(files.map(\.url)), not \(truth.files.map(\.file.url))")
        }
        var bytes: [UInt8] = []
        for file in files {
            guard let folded = file.folded, file.partial.isEmpty else {
                throw SimWrong("job \(id): \(file.url) has no specs")
            }
            let entries = folded.blockRows.reduce(0) { $0 + $1.total }
            guard entries == file.survey!.entries else {
                throw SimWrong(
                    "job \(id): \(entries) entries of \(file.url) were counted, which has \(file.survey!.entries)")
            }
            bytes += folded.parts.map { SpecsCoding.encode([$0]) } ?? []
        }
        if let mirror = ledger.mirror {
            ledger.check { try mirror.folded(id) == files.map { $0.folded! } ? nil : "other specs for job \(id)" }
            if let wrong = ledger.wrong { throw wrong }
        }
        guard bytes == truth.specs else { throw SimWrong("job \(id): the specs are not those of one sequential pass") }
        guard let schedule = truth.schedule else { return }
        let last = truth.digests.last!
        guard let digest = job.bundle, let blob = blobs[digest], blob.digest == last else {
            throw SimWrong("job \(id): the model is not that of one worker alone")
        }
        for epoch in 1...schedule.epochs {
            let expected = SimModel.metrics(truth.digests[epoch * Int(schedule.stepsPerEpoch)], epoch: epoch)
            guard job.epochs[epoch] == expected else {
                throw SimWrong(
                    """
                    job \(id): the metrics of epoch \(epoch) are \(String(describing: job.epochs[epoch])), not \
                    \(expected)
                    """
                )
            }
        }
        if job.description.publish != nil, !job.published.contains("n") {
            throw SimWrong("job \(id) is done and its model was not published")
        }
    }
}
