import Cluster
import Scheduling

extension World {
    /// One fault after another, until they end.
    func nextFault() throws {
        guard isFaulty else { return }
        clock.at(clock.now + random.between(0.3, 7)) { [self] in try nextFault() }
        faultsMade += 1
        let worker = workers[random.below(workers.count)]
        let until = min(faultsUntil, clock.now + random.between(0.5, 30))
        switch random.below(12) {
        case 0, 1, 2: crash(worker, "it is killed")
        case 3:
            record.note(clock.now, "worker \(worker.index) is stopped")
            worker.stoppedUntil = until
        case 4:
            let ways = random.below(3)
            record.note(
                clock.now,
                """
                the link of worker \(worker.index) is cut, \
                \(["both ways", "to the coordinator", "from the coordinator"][ways])
                """
            )
            cut[worker.index] = (ways == 2 ? 0 : until, ways == 1 ? 0 : until)
            if until - clock.now > 8, let connection = worker.connection {
                clock.at(clock.now + random.between(5, 8)) { [self] in close(connection) }
            }
        case 5: if core != nil { crashCoordinator() }
        case 6:
            record.note(clock.now, "the ledger's disk is full")
            ledger.isFull = true
            clock.at(min(until, clock.now + 8)) { [self] in ledger.isFull = false }
        case 7: ledger.dies = random.chance(0.5)
        case 8:
            let site = random.below(siteAway.count)
            siteAway[site] = until
            awaySites.insert(site)
        case 9: wallOffset += random.between(-1e6, 1e6)
        case 10: if let connection = worker.connection { close(connection) }
        default: command()
        }
    }

    /// What people do meanwhile.
    private func command() {
        guard core != nil, let id = ledger.jobs.keys.randomElement(using: &random), !ledger.jobs[id]!.stage.isFinal
        else { return }
        switch random.below(8) {
        case 0:
            cancelled.insert(id)
            post(.cancel(job: id))
        case 1, 2, 3: post(.pause(job: id))
        case 4, 5, 6: post(.resume(job: id))
        default:
            if workers.count > 2, let number = workers[workers.count - 1].ownNumber { post(.drain(worker: number)) }
        }
        record.note(clock.now, "somebody does something to job \(id)")
    }

    /// The world is in order from now on.
    func endFaults() throws {
        record.note(clock.now, "the faults end")
        ledger.isFull = false
        ledger.dies = nil
        for index in cut.indices { cut[index] = (0, 0) }
        for index in siteAway.indices { siteAway[index] = 0 }
        for worker in workers { worker.stoppedUntil = min(worker.stoppedUntil, clock.now) }
        if core == nil { try startCoordinator() }
        resumeAll()
    }

    /// Nobody leaves a job paused for ever, and somebody starts a worker where all were drained.
    private func resumeAll() {
        clock.at(clock.now + 5) { [self] in resumeAll() }
        guard core != nil else { return }
        for (id, job) in ledger.jobs where job.paused && !job.stage.isFinal { post(.resume(job: id)) }
        for worker in workers where worker.session.isDrained {
            crash(worker, "it was drained; another follows")
        }
    }
}
