import Access
import ArgumentParser
import Foundation

/// `beamline token`.
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
            help: """
                What its holder may do: worker (join), reader (see all), submitter (submit jobs and steer them too), \
                admin (drain workers too).
                """)
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
                let role = token.role.rawValue
                let space = String(repeating: " ", count: 10 - role.count)
                print("\(token.id)  \(role)\(space) \(left)  \(token.name)")
            }
        }
    }

    struct Revoke: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Makes a token worthless at once.",
            discussion: """
                Workers that joined with it are disconnected at their next heartbeat, and get nothing more.
                Example:
                  beamline token revoke 3f9a0c1b2d4e
                """)

        @Argument(help: "The token's number: the first of its list's columns.")
        var id: String

        @Option(help: "The coordinator's state directory.")
        var state = "beamline-state"

        func run() throws {
            guard TokenStore(state: URL(filePath: state)).revoke(id) else {
                printError("no token \(id) in \(state)")
                throw ExitStatus.rejected
            }
        }
    }
}

extension Role: ExpressibleByArgument {}

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
