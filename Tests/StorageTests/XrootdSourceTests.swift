import Bytes
import Cluster
import Foundation
import Storage
import TestKit
import Testing

/// Reads of a real xrootd server, also through a link with faults.
@Suite(.serialized) struct XrootdSourceTests {
    /// 12 MB, each 8 bytes of which are their own number.
    static let content: [UInt8] = (0..<1_500_000).flatMap { number in
        withUnsafeBytes(of: UInt64(number).bigEndian) { Array($0) }
    }

    private func limits(_ change: (inout SiteLimits) -> Void = { _ in }) -> SiteLimits {
        var limits = SiteLimits()
        change(&limits)
        return limits
    }

    private func expectSame(_ fetched: FetchedRanges, _ ranges: [ByteRange]) {
        for (index, range) in ranges.enumerated() {
            #expect(fetched.bytes(index) == Array(Self.content[range.offset..<range.end]))
        }
    }

    @Test func rangesOfAllSizesAreTheFilesBytes() throws {
        let sites = try TestSites(files: ["store/a": Self.content])
        let url = sites.url("store/a")
        var ranges = (0..<3000).map { ByteRange(offset: ($0 * 7919) % 11_000_000, length: 1 + $0 % 300) }
        // Longer than a segment of a vector read may be, longer than a request, empty, and the last byte.
        ranges += [(0, 3_000_000), (1_000_000, 11_000_000), (500, 0), (11_999_999, 1)].map {
            ByteRange(offset: $0.0, length: $0.1)
        }
        for gap in [0, 64 << 10] {
            let site = SiteAccess("s", limits: limits { $0.gapBytes = gap })
            expectSame(try openSource(url, at: site).read(ranges), ranges)
            #expect(site.report.readsInFlight == 0 && site.report.bytes > 0 && site.report.abandonedBytes == 0)
        }
        // Little room: one request at a time.
        let narrow = SiteAccess("s", limits: limits { ($0.bytesInFlight, $0.requestBytes) = (1 << 20, 256 << 10) })
        expectSame(try openSource(url, at: narrow).read(ranges), ranges)
        // What is not in the file is rejected before anything is sent.
        let error = #expect(throws: InputError.self) {
            try openSource(url).read([ByteRange(offset: 11_999_999, length: 2)])
        }
        #expect(error?.code == .truncated)
    }

    /// A read that was given up keeps its own buffer until the client library is done with it: no other read's bytes
    /// change.
    @Test func aReadThatStalledHarmsNobodyWhenItComesLate() throws {
        let sites = try TestSites(files: ["store/a": Self.content])
        let link = try ImpairmentProxy(upstream: sites.ports[0])
        defer { link.stop() }
        let stalling = SiteAccess("stalling", limits: limits { ($0.readSeconds, $0.requestBytes) = (1, 2 << 20) })
        let source = try openSource("root://localhost:\(link.port)//store/a", at: stalling)
        let passed = link.bytesDown
        link.change { $0.stallAfter = passed + 3_000_000 }
        let whole = [ByteRange(offset: 0, length: Self.content.count)]
        let error = #expect(throws: InputError.self) { try source.read(whole) }
        #expect(error?.code == .deadline)
        #expect(link.isStalled)
        let abandoned = stalling.report.abandonedBytes
        #expect(abandoned > 0 && abandoned <= Int64(Self.content.count), "\(abandoned)")
        // Meanwhile others read, into buffers that the late bytes must not reach.
        let other = try openSource(sites.url("store/a"))
        let pieces = (0..<40).map { [ByteRange(offset: 100_000 * $0, length: 300_000)] }
        let fetched = try pieces.map { try other.read($0) }
        link.resume()
        try waitUntil("the late answers have come") { stalling.report.abandonedBytes == 0 }
        for (piece, ranges) in zip(fetched, pieces) { expectSame(piece, ranges) }
        // And the site is as good as before.
        expectSame(try openSource("root://localhost:\(link.port)//store/a", at: stalling).read(whole), whole)
    }

    /// While given-up reads hold all the memory that a site may have, it is asked for no more.
    @Test func abandonedBytesCountAgainstTheLimit() throws {
        let sites = try TestSites(files: ["store/a": Self.content])
        let link = try ImpairmentProxy(upstream: sites.ports[0])
        defer { link.stop() }
        let site = SiteAccess(
            "stalling", limits: limits { ($0.readSeconds, $0.bytesInFlight, $0.requestBytes) = (1, 1 << 20, 2 << 20) })
        let source = try openSource("root://localhost:\(link.port)//store/a", at: site)
        link.stall()
        for _ in 0..<2 {
            #expect(throws: InputError.self) { try source.read([ByteRange(offset: 0, length: 2 << 20)]) }
        }
        #expect(site.report.abandonedBytes == 2 << 20)
        link.resume()
        try waitUntil("the late answer has come") { site.report.abandonedBytes == 0 }
    }

    @Test func theNextReplicaTakesOverForTheRest() throws {
        let sites = try TestSites(sites: 2, files: ["store/a": Self.content])
        let link = try ImpairmentProxy(upstream: sites.ports[0])
        defer { link.stop() }
        let board = SiteBoard()
        let file = FileReplicas(["root://localhost:\(link.port)//store/a", sites.url("store/a", site: 1)])
        let source = ReplicatedSource(file, board: board) { _ in "same" }
        // Both replicas are asked in any order: make sure of the one with faults.
        for _ in 0..<20 {
            try source.open()
            if source.url == file.urls[0] { break }
            source.reject(InputError(.faulty, "not this one"))
        }
        #expect(source.url == file.urls[0])
        source.pin("same")
        link.change { $0.resetEvery = 4_000_000 }
        // In requests of 8 MB the first comes, or none; the other replica gives what is left, not all again.
        let ranges = (0..<12).map { ByteRange(offset: 1_000_000 * $0, length: 1_000_000 - 5000) }
        expectSame(try source.read(ranges), ranges)
        #expect(source.url == file.urls[1])
        #expect(board.access(url: file.urls[0]).report.faults.reduce(0) { $0 + $1.count } > 0)
        // A replica with another content is excluded.
        let other = ReplicatedSource(file, board: board, identity: "another") { _ in "same" }
        let error = #expect(throws: InputError.self) { try other.open() }
        #expect(error?.code == .changed && error?.description.contains("another") == true)
    }

    /// Another file under the same name after a reconnection: not one byte of it is taken.
    @Test func anotherFileAfterAReconnectionIsRejected() throws {
        let sites = try TestSites(sites: 2, files: ["store/a": Self.content])
        try Data(Self.content.map { ~$0 }).write(to: sites.directory.appending(path: "site2/store/a"))
        let link = try ImpairmentProxy(upstream: sites.ports[0])
        defer { link.stop() }
        let identify: ReplicatedSource.Identify = { (source) throws(InputError) in
            "\(try source.read([ByteRange(offset: 0, length: 16)]).bytes(0))"
        }
        let url = "root://localhost:\(link.port)//store/a"
        let whole = [ByteRange(offset: 100, length: 10_000_000)]
        for others in [[], [sites.url("store/a")]] {
            link.redirect(to: sites.ports[0])
            link.resetAll()
            let identity = try identify(openSource(sites.url("store/a")))
            let file = FileReplicas([url] + others)
            var source = ReplicatedSource(file, board: SiteBoard(), identity: identity, identify: identify)
            try source.open()
            // Until the replica with the link is the one that is read.
            for _ in 0..<50 where source.url != url {
                source = ReplicatedSource(file, board: SiteBoard(), identity: identity, identify: identify)
                try source.open()
            }
            try #require(source.url == url)
            expectSame(try source.read(whole), whole)
            link.redirect(to: sites.ports[1])
            link.resetAll()
            if others.isEmpty {
                let error = #expect(throws: InputError.self) { try source.read(whole) }
                #expect(
                    error?.code == .changed && error?.expected?.contains("identity") == true,
                    "\(String(describing: error))")
            } else {
                expectSame(try source.read(whole), whole)
                #expect(source.url == others[0])
            }
        }
    }

    /// A redirector is asked for another server than the one that died in the middle.
    @Test func behindARedirectorTheServerThatDiedIsAvoided() throws {
        let sites = try TestSites(
            files: ["store/a": Self.content], options: ["--redirector", "PORT"], folders: ["server1", "server2"])
        let url = "root://localhost:\(sites.spare)//store/a"
        // Both servers have this machine's address, of which a redirector avoids but one: the other must be the one
        // that survives.
        let survivor = try #require(openSource(url, avoiding: ["127.0.0.1"]) as? XrootdSource).server
        var source = ReplicatedSource(FileReplicas(url), board: SiteBoard()) { _ in "same" }
        try source.open()
        for _ in 0..<20 where source.server == survivor {
            source = ReplicatedSource(FileReplicas(url), board: SiteBoard()) { _ in "same" }
            try source.open()
        }
        try #require(source.server != survivor)
        source.pin("same")
        expectSame(try source.read([ByteRange(offset: 0, length: 1000)]), [ByteRange(offset: 0, length: 1000)])
        let first = try #require(source.server)
        let number = first.hasSuffix(":\(sites.spare + 1)") ? 1 : 2
        #expect(first.hasSuffix(":\(sites.spare + UInt16(number))"))
        // Only the data server dies; the cluster's manager goes on believing in it.
        let file = sites.directory.appending(path: "admin-server\(number)/xrootd.pid")
        let process = try #require(Int32(String(contentsOf: file, encoding: .utf8).filter(\.isNumber)))
        kill(process, SIGKILL)
        let whole = [ByteRange(offset: 0, length: Self.content.count)]
        expectSame(try source.read(whole), whole)
        #expect(source.server == survivor)
    }

    @Test func checksumsAreComparedWhereAskedFor() throws {
        let sites = try TestSites(sites: 2, files: ["store/a": Array(Self.content.prefix(100_000))])
        // One of two replicas is damaged: of the same size, so that only the checksum shows it.
        var damaged = Array(Self.content.prefix(100_000))
        damaged[50_000] ^= 1
        try Data(damaged).write(to: sites.directory.appending(path: "site1/store/a"))
        let sum = try Checksum.adler32(sites.url("store/a", site: 1), at: SiteAccess("b"))
        #expect(sum == adler32(Array(Self.content.prefix(100_000))))
        #expect(try Checksum.adler32("http://localhost:\(sites.ports[1])/store/a", at: SiteAccess("b")) == sum)
        let file = FileReplicas([sites.url("store/a"), sites.url("store/a", site: 1)], adler32: sum)
        for _ in 0..<5 {
            let source = ReplicatedSource(file, board: SiteBoard(), verify: true) { _ in "same" }
            try source.open()
            #expect(source.url == file.urls[1])
        }
        let lone = ReplicatedSource(FileReplicas([file.urls[0]], adler32: sum), board: SiteBoard(), verify: true) { _ in
            "same"
        }
        let error = #expect(throws: InputError.self) { try lone.open() }
        #expect(error?.description.contains("checksum") == true && error?.expected?.contains(sum) == true)
    }

    private func adler32(_ bytes: [UInt8]) -> String {
        var (a, b): (UInt32, UInt32) = (1, 0)
        for byte in bytes {
            a = (a + UInt32(byte)) % 65_521
            b = (b + a) % 65_521
        }
        let text = String(b << 16 | a, radix: 16)
        return String(repeating: "0", count: 8 - text.count) + text
    }
}
