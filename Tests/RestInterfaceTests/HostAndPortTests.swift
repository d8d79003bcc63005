import Cluster
import Testing

@Suite struct HostAndPortTests {
    @Test(arguments: [
        ("localhost:8081", "localhost", 8081), ("10.0.0.5:1", "10.0.0.5", 1), ("[::1]:8081", "::1", 8081),
        ("[2001:db8::7]:65535", "2001:db8::7", 65535),
    ])
    func anAddressIsReadAndWrittenAlike(_ text: String, _ host: String, _ port: Int) {
        let address = HostAndPort(text)
        #expect(address?.host == host && address?.port == port)
        #expect(address?.description == text)
    }

    @Test(arguments: [
        "", ":", "localhost", "localhost:", ":8081", "localhost:0", "localhost:65536", "localhost:port", "::1:8081",
        "[::1]", "[::1]:", "[]:1", "[localhost]:1", "[::1:1", "::1]:1",
    ])
    func whatIsNoAddressIsRejected(_ text: String) { #expect(HostAndPort(text) == nil) }
}
