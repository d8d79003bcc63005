import ArgumentParser
import Foundation
import Ledger

/// `beamline ledger`: checks, copies and compacts a coordinator's ledger.
struct LedgerCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "ledger", abstract: "Looks after a coordinator's ledger.",
        subcommands: [Check.self, Backup.self, Compact.self])

    struct State: ParsableArguments {
        @Option(help: "The coordinator's state directory.")
        var state = "beamline-state"

        func maintenance() throws -> LedgerMaintenance {
            do { return try LedgerMaintenance(state: URL(filePath: state)) } catch {
                printError("cannot open the ledger in \(state): \(error)")
                throw ExitStatus.rejected
            }
        }
    }

    struct Check: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Checks that the ledger is whole and that every entry is accounted for once.",
            discussion: """
                May be used while the coordinator runs.

                Example:
                  beamline ledger check --state /var/lib/beamline
                """)

        @OptionGroup var options: State

        func run() async throws {
            let report = try options.maintenance().check()
            for line in report.lines { print(line) }
            guard report.mistakes.isEmpty else {
                for mistake in report.mistakes { printError(mistake) }
                throw ExitStatus.jobFailed
            }
            print("the ledger is whole")
        }
    }

    struct Backup: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Copies the ledger, as it is at one moment.",
            discussion: """
                May be used while the coordinator runs. Blobs are files beside the ledger: copy them after it.

                Example:
                  beamline ledger backup /backup/ledger.sqlite
                """)

        @Argument(help: "The copy; must not exist.")
        var file: String
        @OptionGroup var options: State

        func run() async throws {
            guard !FileManager.default.fileExists(atPath: file) else {
                printError("the copy \(file) exists already; name another file, or remove it first")
                throw ExitStatus.usage
            }
            try options.maintenance().backup(to: file)
            print("the ledger is copied to \(file)")
        }
    }

    struct Compact: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Gives the room of deleted rows back to the disk.",
            discussion: """
                The coordinator waits meanwhile; for a large ledger, stop it first.

                Example:
                  beamline ledger compact --state /var/lib/beamline
                """)

        @OptionGroup var options: State

        func run() async throws {
            let (before, after) = try options.maintenance().compact()
            print("\(before) bytes became \(after)")
        }
    }
}
