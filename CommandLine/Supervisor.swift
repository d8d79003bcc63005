import Foundation
import ServiceLifecycle

/// Keeps child processes running, as a service.
struct Supervisor: Service {
    private let children: [SupervisedProcess]
    /// Seconds that children have to end by themselves, and to be gone once they are killed.
    private static let stopTimeout = 5.0
    private static let killTimeout = 2.0

    init(_ children: [SupervisedProcess]) { self.children = children }

    func start() throws { for child in children { try child.start() } }

    /// Ends the children, the first one after all others, which take their leave of it. A child that is still there
    /// five seconds after TERM is killed with its descendants.
    func stop() {
        Self.stop(Array(children.dropFirst().reversed()))
        Self.stop(Array(children.prefix(1)))
    }

    private static func stop(_ children: [SupervisedProcess]) {
        for child in children { child.terminate() }
        wait(children, seconds: stopTimeout)
        for child in children { child.kill() }
        wait(children, seconds: killTimeout)
    }

    private static func wait(_ children: [SupervisedProcess], seconds: Double) {
        let deadline = Date().addingTimeInterval(seconds)
        while true {
            for child in children { child.noteEnd() }
            guard children.contains(where: \.isRunning), Date() < deadline else { return }
            usleep(20_000)
        }
    }

    func run() async throws {
        let children = children
        do {
            try await cancelWhenGracefulShutdown {
                while true {
                    for child in children { child.superviseOnce() }
                    try await Task.sleep(for: .milliseconds(200))
                }
            }
        } catch is CancellationError {}
    }
}
