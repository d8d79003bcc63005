import Access
import ArgumentParser
import Foundation

/// A time such as 90m, 12h or 30d.
struct TimeSpan: ExpressibleByArgument {
    var seconds: Double

    init?(argument: String) {
        let units: [Character: Double] = ["s": 1, "m": 60, "h": 3600, "d": 86_400]
        guard let unit = argument.last.flatMap({ units[$0] }), let number = Double(argument.dropLast()), number > 0,
            number * unit <= 3650 * 86_400
        else { return nil }
        seconds = number * unit
    }
}

struct TokenCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "token",
        abstract: "Makes, lists and revokes the tokens with which workers join and people speak to a coordinator.",
        subcommands: [Create.self, List.self, Revoke.self])

    struct Create: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Prints a new token; it is shown this once and kept nowhere.",
            discussion: """
                Workers and clients take it from BEAMLINE_TOKEN or from --token-file.
                Example:
                  beamline token create --role worker --ttl 30d --state /var/lib/beamline
                """)

        @Option(
            help:
                "What its holder may do: worker (join), reader (see all), submitter (submit jobs and steer them too), admin (drain workers too)."
        )
        var role = Role.worker

        @Option(help: "How long it is good for: 90m, 12h, 30d; ten years at most.")
        var ttl: TimeSpan

        @Option(help: "What the list of tokens calls it.")
        var name = ""

        @Option(help: "The coordinator's state directory.")
        var state = "beamline-state"

        func run() throws {
            guard FileManager.default.fileExists(atPath: state) else {
                printError("there is no state directory \(state); start the coordinator once, or name its --state")
                throw ExitStatus.usage
            }
            print(try TokenStore(state: URL(filePath: state)).create(role, name: name, seconds: ttl.seconds))
        }
    }

    struct List: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Lists the tokens, without their secrets.",
            discussion: "Example:\n  beamline token list --state /var/lib/beamline")

        @Option(help: "The coordinator's state directory.")
        var state = "beamline-state"

        func run() throws {
            let format = Date.ISO8601FormatStyle()
            for token in TokenStore(state: URL(filePath: state)).list() {
                let left = token.expires > Date() ? "until \(token.expires.formatted(format))" : "expired"
                print(
                    "\(token.id)  \(token.role.rawValue)\(String(repeating: " ", count: 10 - token.role.rawValue.count)) \(left)  \(token.name)"
                )
            }
        }
    }

    struct Revoke: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Makes a token worthless at once.",
            discussion:
                "Workers that joined with it stay until their connection ends.\nExample:\n  beamline token revoke 3f9a0c1b2d4e"
        )

        @Argument(help: "The token's number: the first of its list's columns.")
        var id: String

        @Option(help: "The coordinator's state directory.")
        var state = "beamline-state"

        func run() throws {
            guard TokenStore(state: URL(filePath: state)).revoke(id) else {
                printError("no token \(id) in \(state)")
                throw ExitStatus.refused
            }
        }
    }
}

extension Role: ExpressibleByArgument {}

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
        throw ExitStatus.refused
    }
}
