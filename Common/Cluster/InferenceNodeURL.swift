/// The address of an inference node, as a job names it: `http://host:port`, without a path.
package enum InferenceNodeURL {
    private static let scheme = "http://"
    /// The most bytes of a host's name.
    private static let maxHostBytes = 253

    /// What an address must be, in words.
    package static let expected = "http://host:port"

    /// Whether a coordinator can push to this address. The port may be left out.
    package static func isValid(_ text: String) -> Bool {
        guard text.hasPrefix(scheme) else { return false }
        let rest = String(text.dropFirst(scheme.count))
        // A port is digits alone; `Int` takes a sign too.
        guard !rest.contains("+"), let address = HostAndPort(rest) ?? HostAndPort(rest + ":80") else { return false }
        return address.host.utf8.count <= maxHostBytes && address.host.utf8.allSatisfy(isHostByte)
    }

    /// A letter, a digit, or what else names and addresses have.
    private static func isHostByte(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
            UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "."), UInt8(ascii: "-"), UInt8(ascii: "_"),
            UInt8(ascii: ":"):
            true
        default: false
        }
    }
}
