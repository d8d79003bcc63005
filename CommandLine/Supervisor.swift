import ArgumentParser
import ServiceLifecycle

/// Keeps child processes running, as a service.
struct Supervisor: Service {
    private let children: [SupervisedProcess]

    init(_ children: [SupervisedProcess]) { self.children = children }

    func start() throws { for child in children { try child.start() } }

    /// Ends the children, the last that was started first.
    func stop() { for child in children.reversed() { child.stop() } }

    /// - Throws: `ExitStatus.rejected` where a child died too often.
    func run() async throws {
        let children = children
        do {
            try await cancelWhenGracefulShutdown {
                while true {
                    for child in children where !child.superviseOnce() { throw ExitStatus.rejected }
                    try await Task.sleep(for: .milliseconds(200))
                }
            }
        } catch is CancellationError {}
    }
}
