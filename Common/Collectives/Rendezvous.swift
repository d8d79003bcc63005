/// The key-value store by which the members of a group find each other.
package protocol Rendezvous: AnyObject, Sendable {
    /// Publishes a value to all members.
    func set(_ key: String, _ value: [UInt8])
    /// Blocks until a member has set the key; nil where the round was given up.
    func wait(_ key: String) -> [UInt8]?
}
