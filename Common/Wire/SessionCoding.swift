import Bytes
package import Cluster
package import Foundation

/// Frequent messages, in fields of their own.
extension WireCoding {
    /// A lease's name in the fields of the protobuf message.
    package static func name(_ lease: LeaseName) -> Beamline_LeaseName {
        var name = Beamline_LeaseName()
        (name.task, name.token) = (lease.task.rawValue, lease.token.rawValue)
        return name
    }

    /// In one message.
    private static let maxReceipts = 8192
    private static let maxPayload = 8 << 20

    private static func lease(_ name: Beamline_LeaseName) -> LeaseName {
        LeaseName(task: TaskID(name.task), token: Token(name.token))
    }

    // MARK: From the worker

    /// The receipts in one envelope: counted chunks in fields of their own, with their partial specs; any other result
    /// as JSON.
    package static func envelope(receipts: [Receipt]) throws -> Beamline_Envelope {
        var envelope = Beamline_Envelope()
        envelope.receipts = try receipts.map { receipt in
            var coded = Beamline_Receipt()
            coded.lease = name(receipt.lease)
            if case .counted(let bytes, let seconds) = receipt.result {
                (coded.bytesRead, coded.seconds) = (Int64(bytes), seconds)
                coded.specs = Data(receipt.specs)
            } else {
                coded.result = try body(receipt.result)
            }
            return coded
        }
        return envelope
    }

    /// Bytes of one receipt at most, on its own in an envelope: its result in JSON and its specs.
    package static let maxReceipt = 48 << 20

    /// The receipt where it can travel; else a failure with the reason. A receipt is sent until it is answered, so one
    /// that no message can hold would end every session that it is sent in.
    package static func sendable(_ receipt: Receipt) -> Receipt {
        var bytes = receipt.specs.count
        if case .counted = receipt.result {
        } else {
            do { bytes += try body(receipt.result).count } catch {
                return Receipt(
                    receipt.lease,
                    TaskResult(InputError(.unsupported, "a task's result cannot be encoded", found: "\(error)")))
            }
        }
        guard bytes > maxReceipt else { return receipt }
        let error = InputError(
            .limit, "a task's result is too large to be sent: \(kind(receipt.result))",
            expected: "at most \(maxReceipt) bytes", found: "\(bytes)",
            hint: "Name fewer files in one pattern or list, or keep fewer branches.")
        return Receipt(receipt.lease, TaskResult(error))
    }

    private static func kind(_ result: TaskResult) -> String {
        switch result {
        case .listed(let files, _): "a list of \(files.count) files"
        case .surveyed(let survey):
            "a survey of \(survey.branches.count) branches and \(survey.boundaries.count) block boundaries"
        case .counted: "partial specs"
        case .failed: "the reason of a failure"
        }
    }

    /// The result of a coded receipt. One that is not understood is a failure of its task: the worker would send it
    /// again and again, and an error here would end each of its sessions.
    private static func result(_ coded: Beamline_Receipt) -> TaskResult {
        if coded.result.isEmpty { return .counted(bytesRead: Int(coded.bytesRead), seconds: coded.seconds) }
        do {
            let result = try value(TaskResult.self, coded.result)
            guard case .failed(let reason, let transient) = result else { return result }
            return .failed(reason: TaskResult.reason(reason), transient: transient)
        } catch {
            return .failed(reason: TaskResult.reason("a worker's receipt: \(error)"), transient: false)
        }
    }

    /// The messages of a worker's envelope, the one in JSON before the receipts.
    /// - Throws: `InputError` with `.limit` where the envelope has too many receipts or too many bytes, and those of
    ///   `value` where its JSON is not understood.
    package static func messages(ofWorker envelope: Beamline_Envelope) throws -> [WorkerMessage] {
        var messages: [WorkerMessage] = []
        guard envelope.receipts.count <= maxReceipts, envelope.payload.count <= maxPayload else {
            throw InputError(
                .limit, "a message is too large",
                expected: "at most \(maxReceipts) receipts and \(maxPayload) bytes beside them",
                found: "\(envelope.receipts.count) receipts, \(envelope.payload.count) bytes")
        }
        if !envelope.body.isEmpty { messages.append(try value(WorkerMessage.self, envelope.body)) }
        if !envelope.receipts.isEmpty {
            messages.append(
                .receipts(
                    envelope.receipts.map { Receipt(lease($0.lease), result($0), specs: [UInt8]($0.specs)) }))
        }
        return messages
    }

    // MARK: From the coordinator

    /// - Parameter task: a TaskBody in JSON.
    package static func grant(_ lease: LeaseName, task: Data) -> Beamline_Grants {
        var grants = Beamline_Grants()
        grants.task = task
        var entry = Beamline_Lease()
        entry.name = name(lease)
        grants.leases = [entry]
        return grants
    }

    /// - Parameters:
    ///   - input: an InputTree in JSON.
    ///   - plan: a ChunkPlan in JSON.
    package static func grant(
        _ lease: LeaseName, input: Data, plan: Data, boundaries: ArraySlice<Int64>
    ) -> Beamline_Grants {
        var grants = Beamline_Grants()
        (grants.input, grants.plan) = (input, plan)
        var entry = Beamline_Lease()
        entry.name = name(lease)
        entry.boundaries = Array(boundaries)
        grants.leases = [entry]
        return grants
    }

    /// Reads what a coordinator sends. Plans and inputs that come again and again are decoded once.
    package struct CoordinatorReader: Sendable {
        private var plan: (bytes: Data, value: ChunkPlan)?
        private var input: (bytes: Data, value: InputTree)?

        package init() {}

        /// The messages of a coordinator's envelope: the one in JSON, then acknowledgements, then grants.
        /// - Throws: `InputError` with `.corrupt` or `.unsupported` where its JSON is not understood.
        package mutating func messages(_ envelope: Beamline_Envelope) throws -> [CoordinatorMessage] {
            var messages: [CoordinatorMessage] = []
            if !envelope.body.isEmpty { messages.append(try value(CoordinatorMessage.self, envelope.body)) }
            if !envelope.acknowledged.isEmpty {
                messages.append(.acknowledged(envelope.acknowledged.map(WireCoding.lease)))
            }
            let grants = try envelope.grants.flatMap { try read($0) }
            if !grants.isEmpty { messages.append(.grants(grants)) }
            return messages
        }

        private mutating func read(_ grants: Beamline_Grants) throws -> [Grant] {
            if grants.input.isEmpty {
                let body = try value(TaskBody.self, grants.task)
                return grants.leases.map { Grant(WireCoding.lease($0.name), body) }
            }
            if plan?.bytes != grants.plan { plan = (grants.plan, try value(ChunkPlan.self, grants.plan)) }
            if input?.bytes != grants.input { input = (grants.input, try value(InputTree.self, grants.input)) }
            return grants.leases.map {
                Grant(
                    WireCoding.lease($0.name), .chunk(ChunkTask(input!.value, boundaries: $0.boundaries)),
                    plan: plan!.value)
            }
        }
    }
}
