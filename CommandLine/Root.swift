import ArgumentParser

/// `beamline root`: questions about ROOT files.
struct Root: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "root", abstract: "Looks into ROOT files.", subcommands: [RootStatistics.self])
}
