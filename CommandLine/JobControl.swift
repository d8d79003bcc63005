import ArgumentParser
import Cluster
import Foundation
import RestInterface

extension JobID: ExpressibleByArgument {}
extension WorkerID: ExpressibleByArgument {}

/// What `pause`, `resume`, `cancel` and `retry` share.
enum JobControl {
    /// Sends a command and prints the job's new stage.
    static func send(
        _ command: JobCommand, job: JobID, withoutUnreadable: Bool = false, _ options: ClientOptions
    ) async throws {
        try await options.withClient { client in
            let path = RestPath.command(command, job: job, withoutUnreadable: withoutUnreadable)
            let status = try client.decode(JobStatus.self, from: await client.data("POST", path))
            if command == .cancel { return print("job \(job) is cancelled") }
            print("job \(job): \(status.stage)\(status.paused ? ", paused" : "")")
        }
    }
}

struct Pause: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Pauses a job: no more tasks are assigned; those that are being done still count.",
        discussion: "Example:\n  beamline pause 1")

    @Argument(help: "The job's number.")
    var job: JobID

    @OptionGroup var options: ClientOptions

    func run() async throws { try await JobControl.send(.pause, job: job, options) }
}

struct Resume: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Resumes a paused job.", discussion: "Example:\n  beamline resume 1")

    @Argument(help: "The job's number.")
    var job: JobID

    @OptionGroup var options: ClientOptions

    func run() async throws { try await JobControl.send(.resume, job: job, options) }
}

struct Cancel: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Cancels a job.", discussion: "Example:\n  beamline cancel 1")

    @Argument(help: "The job's number.")
    var job: JobID

    @OptionGroup var options: ClientOptions

    func run() async throws { try await JobControl.send(.cancel, job: job, options) }
}

struct Retry: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Tries a failed or cancelled job again: only what is not done yet.",
        discussion: """
            With --without-unreadable the files that made the job fail are left out and reported; a training starts \
            again from step 0, with
            specs that are merged without them.

            Example:
              beamline retry 1 --without-unreadable
            """)

    @Argument(help: "The job's number.")
    var job: JobID

    @Flag(help: "Leave out the files that could not be read.")
    var withoutUnreadable = false

    @OptionGroup var options: ClientOptions

    func run() async throws {
        try await JobControl.send(.retry, job: job, withoutUnreadable: withoutUnreadable, options)
    }
}
