import ArgumentParser
import Cluster
import Foundation
import Ledger

extension JobID: ExpressibleByArgument {}
extension WorkerID: ExpressibleByArgument {}

/// `pause`, `resume`, `retry`.
enum JobControl {
    static func tell(_ job: JobID, _ command: String, _ options: ClientOptions, query: String = "") async throws {
        let data = try await options.client.data("POST", "/api/v1/jobs/\(job)/\(command)\(query)")
        let status = try JSONDecoder().decode(JobStatus.self, from: data)
        print("job \(job): \(status.stage)\(status.paused ? ", paused" : "")")
    }
}

struct Pause: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Pauses a job: nothing more is lent; what is under way still counts.",
        discussion: "Example:\n  beamline pause 1")

    @Argument(help: "The job's number.")
    var job: JobID

    @OptionGroup var options: ClientOptions

    func run() async throws { try await JobControl.tell(job, "pause", options) }
}

struct Resume: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Lets a paused job go on.", discussion: "Example:\n  beamline resume 1")

    @Argument(help: "The job's number.")
    var job: JobID

    @OptionGroup var options: ClientOptions

    func run() async throws { try await JobControl.tell(job, "resume", options) }
}

struct Retry: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Tries a failed or cancelled job again: only what is not done yet.",
        discussion: """
            With --without-unreadable the files that failed the job are left out and reported; a training begins anew from step 0, with the specs
            folded without them.

            Example:
              beamline retry 1 --without-unreadable
            """)

    @Argument(help: "The job's number.")
    var job: JobID

    @Flag(help: "Leave out the files that could not be read.")
    var withoutUnreadable = false

    @OptionGroup var options: ClientOptions

    func run() async throws {
        try await JobControl.tell(job, "retry", options, query: withoutUnreadable ? "?withoutUnreadable=true" : "")
    }
}

struct Fetch: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Saves a job's finished model, and what of it depends on where it ran.",
        discussion: """
            Writes DIRECTORY/bundle.tar, whose bytes depend on the job and the data alone, and run.json: the workers of its training rounds, their
            processors' kernel types, times and versions.

            Example:
              beamline fetch 1 --directory model
            """)

    @Argument(help: "The job's number.")
    var job: JobID

    @Option(help: "Where to; made where it does not exist.")
    var directory = "."

    @OptionGroup var options: ClientOptions

    func run() async throws {
        let record = try await options.client.data("GET", "/api/v1/jobs/\(job)/run")
        let bundle = try await options.client.data("GET", "/api/v1/jobs/\(job)/bundle")
        do {
            try FileManager.default.createDirectory(atPath: directory, withIntermediateDirectories: true)
            for (name, data) in [("bundle.tar", bundle), ("run.json", record)] {
                let path = URL(filePath: directory).appending(path: name)
                try data.write(to: path, options: .atomic)
                print(path.path)
            }
        } catch {
            printError("cannot write to \(directory): \(error.localizedDescription)")
            throw ExitStatus.refused
        }
    }
}

struct Workers: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Lists the workers that are joined.", discussion: "Example:\n  beamline workers")

    @Flag(help: "Print JSON.")
    var json = false

    @OptionGroup var options: ClientOptions

    func run() async throws {
        let data = try await options.client.data("GET", "/api/v1/workers")
        if json { return print(String(decoding: data, as: UTF8.self)) }
        let workers = try JSONDecoder().decode([WorkerStatus].self, from: data)
        if workers.isEmpty { print("no worker is joined; beamline worker --coordinator host:port starts one") }
        for worker in workers {
            var line =
                "\(worker.id)\t\(worker.name)\t\(worker.state.rawValue)\t\(worker.threads) threads\t\(worker.held) tasks held, \(worker.counted) counted"
            if let round = worker.round { line += "\tround \(round), \(worker.phase?.rawValue ?? "")" }
            if worker.silentSeconds > 3 { line += "\tsilent for \(Int(worker.silentSeconds)) s" }
            if let reason = worker.reason { line += "\t\(reason)" }
            print(line)
        }
    }
}

struct Drain: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Lets a worker finish what it has and end.", discussion: "Example:\n  beamline drain 7")

    @Argument(help: "The worker's number, as `beamline workers` shows it.")
    var worker: WorkerID

    @OptionGroup var options: ClientOptions

    func run() async throws {
        _ = try await options.client.data("POST", "/api/v1/workers/\(worker)/drain")
        print("worker \(worker) is drained: it gets nothing more, and ends when it holds nothing")
    }
}

struct Story: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Tells what made the state of a job, a chunk or a worker.",
        discussion:
            "A chunk is told of whole until its file is complete, then only its troubles; errors name chunks as tasks.\n\nExamples:\n  beamline story job 1\n  beamline story chunk 42"
    )

    enum Subject: String, ExpressibleByArgument, CaseIterable { case job, chunk, worker }

    @Argument(help: "job, chunk or worker.")
    var subject: Subject

    @Argument(help: "Its number.")
    var id: Int64

    @Flag(help: "Print JSON.")
    var json = false

    @OptionGroup var options: ClientOptions

    private struct Line: Decodable {
        var at: Double
        var text: String
    }

    func run() async throws {
        let data = try await options.client.data("GET", "/api/v1/stories/\(subject.rawValue)/\(id)")
        if json { return print(String(decoding: data, as: UTF8.self)) }
        let format = ISO8601DateFormatter()
        for line in try JSONDecoder().decode([Line].self, from: data) {
            print(
                "\(line.at > 0 ? format.string(from: Date(timeIntervalSince1970: line.at)) : String(repeating: " ", count: 20))  \(line.text)"
            )
        }
    }
}

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
                throw ExitStatus.refused
            }
        }
    }

    struct Check: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Checks that the ledger is whole and that every entry is accounted for once.",
            discussion:
                "May be used while the coordinator runs.\n\nExample:\n  beamline ledger check --state /var/lib/beamline"
        )
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
            discussion:
                "May be used while the coordinator runs. Blobs are files beside the ledger: copy them after it.\n\nExample:\n  beamline ledger backup /backup/ledger.sqlite"
        )
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
            discussion:
                "The coordinator waits meanwhile; for a large ledger, stop it first.\n\nExample:\n  beamline ledger compact --state /var/lib/beamline"
        )
        @OptionGroup var options: State

        func run() async throws {
            let (before, after) = try options.maintenance().compact()
            print("\(before) bytes became \(after)")
        }
    }
}
