import Bytes
import Cluster
import Foundation
import Storage
import TestKit
import Testing

/// Range requests to a real web server on loopback, which misbehaves as its path demands.
@Suite(.serialized) struct HTTPSourceTests {
    /// The server, stopped when this is gone.
    final class Server {
        let process = Process()
        let input = Pipe()
        let port: String

        init() throws {
            let here = URL(filePath: #filePath).deletingLastPathComponent()
            process.executableURL = here.appending(path: "../../.build-python/bin/python").standardizedFileURL
            process.arguments = [here.appending(path: "fault_server.py").path]
            let output = Pipe()
            process.standardInput = input
            process.standardOutput = output
            try process.start()
            port = String(decoding: output.fileHandleForReading.availableData, as: UTF8.self).filter(\.isNumber)
        }

        deinit {
            try? input.fileHandleForWriting.close()
            process.waitUntilExit()
        }

        func url(_ mode: String) -> String { "http://127.0.0.1:\(port)/\(mode)" }
    }

    static let content = (0..<100_000).map { UInt8($0 % 251) }

    @Test(arguments: ["good", "redirect", "several", "joined"]) func rangesAreTheFilesBytes(_ mode: String) throws {
        let server = try Server()
        let source = try openSource(server.url(mode))
        #expect(source.size == 100_000)
        // Out of order, overlapping, far apart, and the last byte.
        let ranges = [(90_000, 500), (10, 20), (15, 40), (500, 10), (50_000, 3000), (99_999, 1)].map {
            ByteRange(offset: $0.0, length: $0.1)
        }
        var limits = SiteLimits()
        limits.gapBytes = 100
        let fetched = try openSource(server.url(mode), at: SiteAccess("web", limits: limits)).read(ranges)
        for (index, range) in ranges.enumerated() {
            #expect(fetched.bytes(index) == Array(Self.content[range.offset..<range.end]))
        }
        // Where each range is a request of its own, gaps are cheaper than requests.
        #expect(fetched.transferred < (mode == "several" || mode == "joined" ? 4000 : 20_000))
        #expect(throws: InputError.self) { try source.read([ByteRange(offset: 99_990, length: 11)]) }
    }

    @Test(arguments: [("404", InputError.Code.missing), ("403", .denied), ("500", .faulty), ("whole", .unsupported)])
    func failuresAreReported(_ mode: String, _ code: InputError.Code) throws {
        let server = try Server()
        let error = #expect(throws: InputError.self) { try openSource(server.url(mode)) }
        #expect(error?.code == code)
        #expect(error?.description.contains(server.url(mode)) == true)
    }

    @Test(arguments: [
        ("resized", InputError.Code.changed), ("retagged", .changed), ("rejected", .changed), ("shifted", .faulty),
        ("cut", .unreachable), ("long", .faulty),
    ])
    func whatChangesOrBreaksIsAnError(_ mode: String, _ code: InputError.Code) throws {
        let server = try Server()
        let source = try openSource(server.url(mode))
        let error = #expect(throws: InputError.self) { try source.read([ByteRange(offset: 100, length: 5000)]) }
        #expect(error?.code == code, "\(String(describing: error))")
    }

    /// Answers in parts that lack one, or are cut, are errors; never other bytes.
    @Test(arguments: ["lacking", "torn"]) func partsMustBeWhole(_ mode: String) throws {
        let server = try Server()
        let source = try openSource(server.url(mode))
        let error = #expect(throws: InputError.self) {
            try source.read([ByteRange(offset: 100, length: 50), ByteRange(offset: 60_000, length: 50)])
        }
        #expect(error?.code == .faulty, "\(String(describing: error))")
    }

    @Test func aStalledSiteIsGivenUp() throws {
        let server = try Server()
        var limits = SiteLimits()
        limits.readSeconds = 1
        let source = try openSource(server.url("stall"), at: SiteAccess("web", limits: limits))
        let error = #expect(throws: InputError.self) { try source.read([ByteRange(offset: 0, length: 10)]) }
        #expect(error?.code == .deadline)
    }

    @Test func nobodyListening() {
        let error = #expect(throws: InputError.self) { try openSource("http://127.0.0.1:1/x") }
        #expect(error?.code == .unreachable)
    }

    @Test func filesAtWebSitesAreNotListed() throws {
        #expect(
            try FileLister().expand("https://site/store/a.root").files == [FileReplicas("https://site/store/a.root")])
        #expect(throws: InputError.self) { try FileLister().expand("https://site/store/*.root") }
        #expect(throws: InputError.self) { try FileLister().expand("https://site/store/") }
    }
}
