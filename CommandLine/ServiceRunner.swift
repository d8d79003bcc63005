import Foundation
import Logging
import ServiceLifecycle

/// A logger to standard error, for the one service that this process is.
func makeLogger(_ label: String) -> Logger {
    LoggingSystem.bootstrap { StreamLogHandler.standardError(label: $0) }
    var log = Logger(label: label)
    log.logLevel = .info
    return log
}

/// Runs services until one of them ends, or until Ctrl-C or TERM: then all shut down gracefully, in the reverse order,
/// within a few seconds.
/// - Throws: what a service threw.
func runServices(_ services: [any Service], log: Logger) async throws {
    var configuration = ServiceGroupConfiguration(
        services: services.map {
            .init(
                service: $0, successTerminationBehavior: .gracefullyShutdownGroup,
                failureTerminationBehavior: .gracefullyShutdownGroup)
        }, gracefulShutdownSignals: [.sigterm, .sigint], logger: log)
    // Nothing needs saving: what was acknowledged is in the ledger.
    configuration.maximumGracefulShutdownDuration = .seconds(3)
    do { try await ServiceGroup(configuration: configuration).run() } catch is CancellationError {}
}
