import CoordinatorService
import Foundation
import Logging
import ServiceLifecycle

// dying-coordinator STATE PORT WORKERS-PORT
//     a coordinator that kills itself as kill -9 would when the first receipts are committed and none of them is
//     acknowledged

let arguments = CommandLine.arguments.dropFirst().map { $0 }
guard arguments.count == 3, let port = Int(arguments[1]), let workersPort = Int(arguments[2]) else {
    print("dying-coordinator: see Tests/DyingCoordinator/main.swift")
    exit(2)
}
var settings = Coordinator.Settings(state: URL(filePath: arguments[0]))
settings.beforeAcknowledging = { kill(getpid(), SIGKILL) }
let log = Logger(label: "dying-coordinator")
let services = try coordinatorServices(
    try Coordinator(settings, log: log), Listening(host: "127.0.0.1", workersPort: workersPort, restPort: port),
    log: log)
try await ServiceGroup(configuration: .init(services: services, gracefulShutdownSignals: [.sigterm], logger: log)).run()
