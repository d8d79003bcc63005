import Access
import ArgumentParser
import Foundation

/// `beamline ca`.
struct AuthorityCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "ca", abstract: "A certificate authority of the cluster's own, for TLS.",
        subcommands: [Init.self, Issue.self])

    struct Init: ParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "init", abstract: "Makes an authority, and a coordinator's certificate.",
            discussion: """
                DIRECTORY/ca.pem is for workers and clients (--tls-authority); ca-key.pem stays secret.
                Example:
                  beamline ca init --directory ca --host coordinator.example.org --host 10.0.0.5
                """)

        @Option(help: "Where its files are put.")
        var directory = "beamline-ca"

        @Option(help: "A name, or an IPv4 or IPv6 address, by which the coordinator is reached; may be repeated.")
        var host: [String] = ["localhost", "127.0.0.1"]

        @Option(help: "Days for which the authority is good.")
        var days = 3650

        func validate() throws {
            guard (1...36_500).contains(days) else {
                throw ValidationError("--days: expected 1 to 36500; found \(days)")
            }
        }

        func run() throws {
            let authority = Authority(URL(filePath: directory))
            try reportingFailures { try authority.create(name: "Beamline authority", days: days) }
            print("authority    \(authority.certificate.path) (for --tls-authority)")
            try issue(authority, "coordinator", host, days: 365)
        }
    }

    struct Issue: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Makes another certificate of the authority, or renews one.",
            discussion: "Example:\n  beamline ca issue --directory ca --name coordinator --host coordinator.example.org"
        )

        @Option(help: "Where the authority's files are.")
        var directory = "beamline-ca"

        @Option(help: "What its files are called.")
        var name = "coordinator"

        @Option(help: "A name, or an IPv4 or IPv6 address, by which it is reached; may be repeated.")
        var host: [String]

        @Option(help: "Days for which it is good.")
        var days = 365

        func validate() throws {
            guard (1...36_500).contains(days) else {
                throw ValidationError("--days: expected 1 to 36500; found \(days)")
            }
            guard name != "ca", !name.isEmpty, !name.contains("/") else {
                throw ValidationError("--name: '\(name)' cannot be a file's name here")
            }
        }

        func run() throws { try issue(Authority(URL(filePath: directory)), name, host, days: days) }
    }
}

private func issue(_ authority: Authority, _ name: String, _ hosts: [String], days: Int) throws {
    let files = try reportingFailures { try authority.issue(name: name, hosts: hosts, days: days) }
    print("certificate  \(files.chain.path) (for --tls-certificate): \(hosts.joined(separator: ", "))")
    print("key          \(files.key.path) (for --tls-key)")
}

private func reportingFailures<T>(_ body: () throws -> T) throws -> T {
    do { return try body() } catch {
        printError("\(error)")
        throw ExitStatus.rejected
    }
}
