import Cluster
import Scheduling

extension World {
    var isFaulty: Bool { clock.now < faultsUntil }

    // MARK: Connections

    func connect(_ worker: SimWorker) throws {
        guard worker.isAlive, worker.connection == nil else { return }
        let link = cut[worker.index]
        guard core != nil, link.to <= clock.now, link.from <= clock.now, worker.stoppedUntil <= clock.now,
            !worker.session.isDrained
        else {
            let life = worker.life
            return clock.at(clock.now + random.between(0.3, 1)) { [self] in
                if life == worker.life { try connect(worker) }
            }
        }
        let number = nextNumber
        nextNumber = nextNumber.next
        connections.append(Connection(worker: worker.index, number: number))
        worker.connection = connections.count - 1
        worker.ownNumber = number
        connectionOf[number] = connections.count - 1
        post(.joined(worker: number, worker.request))
        for message in worker.session.connected(now: clock.now) { send(message, from: worker) }
    }

    /// Both sides notice, each in its time.
    func close(_ index: Int) {
        guard connections[index].isOpen else { return }
        connections[index].isOpen = false
        let connection = connections[index]
        connectionOf[connection.number] = nil
        let worker = workers[connection.worker]
        let life = worker.life
        let coordinator = coordinatorLife
        clock.at(clock.now + random.between(0.001, 0.5)) { [self] in
            guard coordinator == coordinatorLife else { return }
            deaths += 1
            post(.left(worker: connection.number, died: true))
        }
        clock.at(clock.now + random.between(0.001, 1)) { [self] in
            guard life == worker.life, worker.connection == index else { return }
            worker.connection = nil
            worker.session.disconnected()
            try carryOut(worker.member.disconnected(), worker)
            clock.at(clock.now + random.between(0.2, 1)) { [self] in if life == worker.life { try connect(worker) } }
        }
    }

    // MARK: Messages

    /// - Parameter ordered: what must not be lost without the connection's end, or overtake its like: as over TCP.
    private func transmit(_ index: Int, toWorker: Bool, ordered: Bool, _ body: @escaping () throws -> Void) {
        guard connections[index].isOpen else { return }
        let link = cut[connections[index].worker]
        let isCut = (toWorker ? link.from : link.to) > clock.now
        if isCut || isFaulty && random.chance(0.01) {
            if ordered || isCut && random.chance(0.2) { close(index) }
            return
        }
        var time = clock.now + (isFaulty && random.chance(0.03) ? random.between(0.2, 4) : random.between(0.0005, 0.03))
        if ordered {
            time = max(time, (toWorker ? connections[index].lastToWorker : connections[index].lastToCoordinator) + 1e-6)
            if toWorker { connections[index].lastToWorker = time } else { connections[index].lastToCoordinator = time }
        }
        clock.at(time, body)
        if !ordered, isFaulty, random.chance(0.02) { clock.at(clock.now + random.between(0.001, 2), body) }
    }

    func send(_ message: WorkerMessage, payload: [UInt8] = [], from worker: SimWorker) {
        guard let index = worker.connection else { return }
        let number = connections[index].number
        let life = coordinatorLife
        let ordered =
            switch message {
            case .training, .rendezvous: true
            case .join, .heartbeat, .receipts, .sites, .leave: false
            }
        transmit(index, toWorker: false, ordered: ordered) { [self] in
            guard life == coordinatorLife, connections[index].isOpen else { return }
            post(.message(worker: number, message, payload: payload))
        }
    }

    func send(_ reply: Scheduler.Reply, to number: WorkerID) throws {
        guard let index = connectionOf[number] else { return }
        let worker = workers[connections[index].worker]
        let life = worker.life
        let message: CoordinatorMessage
        var payload: [UInt8] = []
        switch reply {
        case .message(let content, let bytes): (message, payload) = (content, bytes)
        case .assign(let assignment):
            guard let job = core?.scheduler.jobs[assignment.job] else { return }
            message = .grants([Grant(assignment.lease, body(assignment, job.stage))])
        }
        let ordered =
            switch message {
            case .rendezvous: true
            case .welcome, .grants, .acknowledged, .rejected, .revoked, .startRound, .stopRound, .catalog, .sites,
                .credential,
                .drained:
                false
            }
        transmit(index, toWorker: true, ordered: ordered) { [self] in try arrive(message, payload, worker, life, index)
        }
    }

    private func arrive(
        _ message: CoordinatorMessage, _ payload: [UInt8], _ worker: SimWorker, _ life: Int, _ index: Int
    ) throws {
        guard life == worker.life, worker.connection == index else { return }
        if worker.stoppedUntil > clock.now {
            return clock.at(worker.stoppedUntil) { [self] in try arrive(message, payload, worker, life, index) }
        }
        try handle(message, payload, worker)
    }

    /// The task of an assignment; a file is named by its number in the ledger.
    private func body(_ assignment: Assignment, _ stage: JobStage) -> TaskBody {
        let job = ledger.jobs[assignment.job]!
        let id: FileID
        switch assignment.unit {
        case .pattern(let index): return .list(pattern: "\(assignment.job) \(index)")
        case .file(let file): id = file
        }
        let file = job.files.first { $0.id == id }!
        guard stage == .specs else { return .survey(FileReplicas(file.url), tree: "\(assignment.job)", verify: false) }
        let boundaries = file.survey!.boundaries[Int(assignment.extent.first)...Int(assignment.extent.end)]
        return .chunk(
            ChunkTask(
                InputTree(FileReplicas(file.url), tree: "\(assignment.job)", identity: file.survey!.identity),
                boundaries: Array(boundaries)))
    }
}
