package import Bytes

/// What the members of one training round do together. Each operation is called by all members, in the same order.
package protocol Communicator: AnyObject, Sendable {
    /// This member's number, from 0.
    var rank: Int { get }
    /// The number of members.
    var size: Int { get }

    /// After a failure, the ranks of the members with which this one could not talk: out of reach, or silent for too
    /// long. Empty where nobody can be named: a connection was closed, since its other end has left the round, or the
    /// round was abandoned. nil where nothing has failed, or this member itself could not do its part.
    var lost: [Int]? { get }

    /// Connects the members, before anything else; returns when each pair of them has exchanged a greeting.
    ///
    /// - Throws: `InputError` with `.unreachable` that names the members that could not be reached in time.
    func connect() throws(InputError)

    /// Waits, without a deadline of its own, until all members are at this point.
    ///
    /// - Parameter name: the same for all members, and used once.
    /// - Returns: false where the round was given up.
    func barrier(_ name: String) -> Bool

    /// Hands each member the values of all.
    ///
    /// - Parameter key: the same for all members, and used once.
    /// - Returns: the values by rank; nil where the round was given up.
    func allGather(_ key: String, _ value: [UInt8]) -> [[UInt8]]?

    /// Hands each member the bytes of one.
    ///
    /// - Parameters:
    ///   - bytes: of the same number on all members.
    ///   - root: the rank whose bytes are handed out.
    /// - Throws: `InputError` with `.unreachable` where a member was lost.
    func broadcast(_ bytes: [UInt8], from root: Int) throws(InputError) -> [UInt8]

    /// Makes numbers that can be summed over the members.
    ///
    /// - Parameter count: the same on all members.
    /// - Throws: `InputError` with `.unreachable` where a member was lost.
    func allReduceBuffer(count: Int) throws(InputError) -> any AllReduce
}

/// Numbers of which all members get the sum. Sums of integers do not depend on the order: they are exact.
package protocol AllReduce: AnyObject, Sendable {
    /// Before `sum` this member's numbers, after it the sums.
    var values: UnsafeMutableBufferPointer<Int64> { get }

    /// Adds the numbers of all members.
    ///
    /// - Throws: `InputError` with `.unreachable` where a member was lost; the values are of no use then, and the round
    ///   is over.
    func sum() throws(InputError)
}
