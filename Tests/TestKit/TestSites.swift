import Foundation

/// Real storage sites on loopback, started by `scripts/test-sites` in a directory of their own, and stopped with this
/// object.
package final class TestSites {
    package static let root = URL(filePath: #filePath).deletingLastPathComponent().appending(path: "../..")
        .standardizedFileURL

    package let directory: URL
    /// Of `site1`, `site2`, ...
    package let ports: [UInt16]
    /// Free ports above them, for more servers.
    package let spare: UInt16

    package struct Failure: Error, CustomStringConvertible {
        package let description: String

        package init(description: String) { self.description = description }
    }

    /// - Parameters:
    ///   - files: what each site serves: path and content.
    ///   - options: of `scripts/test-sites`; `PORT` stands for the first spare port.
    package init(sites: Int = 1, files: [String: [UInt8]] = [:], options: [String] = [], folders: [String] = []) throws
    {
        directory = FileManager.default.temporaryDirectory.appending(
            path: "beamline-sites-\(UUID().uuidString.prefix(8))")
        for folder in (1...max(1, sites)).map({ "site\($0)" }) + folders {
            for (path, content) in files {
                let target = directory.appending(path: "\(folder)/\(path)")
                try FileManager.default.createDirectory(
                    at: target.deletingLastPathComponent(), withIntermediateDirectories: true)
                try Data(content).write(to: target)
            }
        }
        try FileManager.default.createDirectory(at: directory, withIntermediateDirectories: true)
        (ports, spare) = try Self.start(directory, sites, options)
    }

    private static func start(_ directory: URL, _ sites: Int, _ options: [String]) throws -> ([UInt16], UInt16) {
        var attempts = 0
        while true {
            // Below the range that the kernel gives to clients; somebody may have one of them all the same.
            let base = UInt16.random(in: 10_000...31_000)
            let ports = (0..<UInt16(sites)).map { base + $0 }
            let extra = options.map { $0 == "PORT" ? "\(base + UInt16(sites))" : $0 }
            do {
                try run(["start", directory.path] + ports.map { "\($0)" } + extra)
                return (ports, base + UInt16(sites))
            } catch {
                attempts += 1
                guard attempts < 3 else { throw error }
            }
        }
    }

    deinit {
        _ = try? Self.run(["stop", directory.path])
        try? FileManager.default.removeItem(at: directory)
    }

    package func url(_ path: String, site: Int = 0) -> String { "root://localhost:\(ports[site])//\(path)" }

    private static func run(_ arguments: [String]) throws {
        let found = try Process.result(
            root.appending(path: "scripts/test-sites").path, arguments, mergesErrors: true)
        guard found.status == 0 else {
            throw Failure(description: "test-sites \(arguments): \(String(decoding: found.output, as: UTF8.self))")
        }
    }
}

/// Waits until something holds; throws after `seconds`.
package func waitUntil(_ what: String, seconds: Double = 30, _ condition: () throws -> Bool) throws {
    let deadline = Date().addingTimeInterval(seconds)
    while try !condition() {
        guard Date() < deadline else { throw TestSites.Failure(description: "waited \(seconds) s until \(what)") }
        Thread.sleep(forTimeInterval: 0.02)
    }
}
