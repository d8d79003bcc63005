import Cluster

// In tests alone a plain number may stand for an identifier.
extension Identifier {
    public init(integerLiteral value: Int64) { self.init(rawValue: value) }
}

extension JobID: ExpressibleByIntegerLiteral {}
extension RoundNumber: ExpressibleByIntegerLiteral {}
