import Cluster
import Member
import Testing

@Suite struct RandomOrderTests {
    /// Whatever comes in whatever order: no two directives contradict each other, no step's samples are applied twice,
    /// the metrics are those of their epochs, and a last round without faults ends the training with all epochs known.
    @Test func anyOrderOfEvents() throws {
        var (operations, finished) = (0, 0)
        for seed in 0..<UInt64(3000) {
            var shell = RandomShell(seed: seed)
            do {
                for _ in 0..<150 { try shell.happen() }
                try finish(&shell)
            } catch { throw RandomShell.Wrong(description: "seed \(seed): \(error)") }
            operations += shell.performed
            finished += shell.jobs.count(where: \.isFinished)
        }
        #expect(finished == 6000 && operations > 150_000, "\(finished) trainings ended with \(operations) operations")
    }

    /// From now on everything goes well.
    private func finish(_ shell: inout RandomShell) throws {
        for job in 0..<2 {
            shell.lastRound = shell.lastRound.next
            let order = Driver.order(
                shell.lastRound, job: JobID(job), members: 2, plan: "p\(job)", checkpoint: shell.jobs[job].checkpoint,
                epochs: shell.jobs[job].epochs.max() ?? 0)
            shell.ordered = order
            try shell.take(shell.machine.ordered(order))
            while shell.operation != nil { try shell.complete(nil) }
            while !shell.storing.isEmpty { try shell.upload(succeeds: true) }
        }
    }
}
