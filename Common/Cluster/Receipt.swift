/// What a worker hands back for a lease. The partial specs of a counted chunk come with it.
package struct Receipt: Codable, Sendable, Equatable {
    package var lease: LeaseName
    package var result: TaskResult
    package var specs: [UInt8]

    package init(_ lease: LeaseName, _ result: TaskResult, specs: [UInt8] = []) {
        self.lease = lease
        self.result = result
        self.specs = specs
    }
}

/// How a task ended.
package enum TaskResult: Codable, Sendable, Equatable {
    case listed([FileReplicas])
    case surveyed(Survey)
    /// The partial specs travel as the message's payload.
    case counted(bytesRead: Int, seconds: Double)
    case failed(reason: String, transient: Bool)
}

/// A lease's name: the task, and the fencing token that only grows.
package struct LeaseName: Codable, Sendable, Hashable {
    package var task: TaskID
    package var token: Token

    package init(task: TaskID, token: Token) {
        self.task = task
        self.token = token
    }
}
