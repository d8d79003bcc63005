package import Bytes

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
    /// `repeated` counts the names in a list that named a file once more; nil where nobody counted.
    case listed([FileReplicas], repeated: Int? = nil)
    case surveyed(Survey)
    /// The partial specs travel as the message's payload.
    case counted(bytesRead: Int, seconds: Double)
    case failed(reason: String, transient: Bool)

    /// Bytes of a failure's reason at most.
    package static let maxReason = 2000

    /// A reason as it is kept: what a worker sends may be of any length.
    package static func reason(_ text: String) -> String { text.shortened(to: maxReason) }

    /// How a task ends that could not be done.
    package init(_ error: InputError) {
        self = .failed(reason: Self.reason(error.description), transient: error.code.isTransient)
    }
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
