import ArgumentParser

/// The one executable: each subcommand is a thin shell over the rooms.
struct Beamline: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "beamline",
        abstract: "Trains models on ROOT data where it lies.",
        version: version,
        subcommands: [
            Up.self, CoordinatorCommand.self, WorkerCommand.self, InferenceCommand.self, Submit.self, Status.self,
            Jobs.self, Cancel.self, Pause.self, Resume.self, Retry.self, Fetch.self, Workers.self, Drain.self,
            Story.self, SamplesCommand.self,
            SitesCommand.self, LedgerCommand.self, TokenCommand.self, AuthorityCommand.self, SpecsCommand.self,
            Predict.self,
            Inspect.self, Root.self, Version.self,
        ])

    static let version = "0.1.0"
}

struct Version: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Prints the version.", discussion: "Example:\n  beamline version")

    func run() { print("beamline \(Beamline.version)") }
}
