/// A number that names one object of one kind: a job's number cannot stand where a worker's is expected. Coded as the
/// bare number.
package protocol Identifier: RawRepresentable<Int64>, Codable, Comparable, Hashable, Sendable, CustomStringConvertible {
    init(rawValue: Int64)
}

extension Identifier {
    package init(_ number: some BinaryInteger) { self.init(rawValue: Int64(number)) }

    /// Reads a decimal number, as it stands in an address or on a command line; nil where the text is none.
    package init?(text: some StringProtocol) {
        guard let rawValue = Int64(text) else { return nil }
        self.init(rawValue: rawValue)
    }

    package static func < (left: Self, right: Self) -> Bool { left.rawValue < right.rawValue }

    package var description: String { String(rawValue) }

    /// The identifier that is given out after this one.
    package var next: Self { Self(rawValue: rawValue + 1) }
}

/// The number of a job in the ledger.
package struct JobID: Identifier {
    package let rawValue: Int64
    package init(rawValue: Int64) { self.rawValue = rawValue }
}

/// The number of a job's file in the ledger.
package struct FileID: Identifier {
    package let rawValue: Int64
    package init(rawValue: Int64) { self.rawValue = rawValue }
}

/// The number of a task; never used again, in no later life of the coordinator.
package struct TaskID: Identifier {
    package let rawValue: Int64
    package init(rawValue: Int64) { self.rawValue = rawValue }
}

/// The number of one session of a worker.
package struct WorkerID: Identifier {
    package let rawValue: Int64
    package init(rawValue: Int64) { self.rawValue = rawValue }
}

/// A lease's fencing token. Tokens only grow, over all tasks and all lives of the coordinator.
package struct Token: Identifier {
    package let rawValue: Int64
    package init(rawValue: Int64) { self.rawValue = rawValue }
}

/// The number of a training round. Rounds only grow, over all jobs and all lives of the coordinator.
package struct RoundNumber: Identifier {
    package let rawValue: Int64
    package init(rawValue: Int64) { self.rawValue = rawValue }
}

/// What several tasks together bring to an end: a pattern that is listed, or a file that is surveyed or counted.
package enum UnitID: Hashable, Comparable, Sendable {
    /// The pattern's index in the job description's `patterns`.
    case pattern(Int)
    case file(FileID)

    /// The file, where the unit is one.
    package var file: FileID? { if case .file(let id) = self { id } else { nil } }
}
