import Bytes
import Cluster
import Storage
import Testing

@Suite struct ReplicaSelectorTests {
    private func selector(
        _ count: Int, certain: Bool = true, policy: ReplicaSelector.Policy = .init()
    ) -> ReplicaSelector {
        let replicas = (0..<count).map {
            SiteCatalog.Replica(site: "S\($0)", url: "root://s\($0)//f", certain: certain || $0 == 0)
        }
        return ReplicaSelector(replicas, policy: policy)
    }

    private func error(_ index: Int, _ outcome: ReplicaSelector.Outcome) -> SiteError {
        let codes: [InputError.Code] = [
            .denied, .deadline, .unreachable, .faulty, .missing, .unsupported, .corrupt, .changed,
        ]
        let code = codes.first { ReplicaSelector.Outcome($0) == outcome } ?? .changed
        return SiteError(
            site: "S\(index)", InputError(code, "\(outcome)", file: "root://s\(index)//f"), outcome: outcome)
    }

    @Test func theNextReplicaIsAskedAndTheOneThatAnsweredIsPreferred() {
        var selector = selector(3)
        var operation = selector.begin(ranks: [2, 0, 1])
        #expect(selector.next(operation, now: 0) == .attempt(replica: 2, avoiding: []))
        selector.failed(2, in: &operation, error(2, .timedOut), now: 0, jitter: 0)
        #expect(selector.state(2) == .failing && operation.failures == 1)
        #expect(selector.next(operation, now: 0) == .attempt(replica: 0, avoiding: []))
        selector.succeeded(0)
        #expect(selector.state(0) == .usable && selector.state(1) == .untried)
        // Whatever the ranks of the next operation.
        let next = selector.begin(ranks: [2, 1, 0])
        #expect(selector.next(next, now: 0) == .attempt(replica: 0, avoiding: []))
        // A failure of any operation ends the preference.
        selector.failed(0, in: &operation, error(0, .faulty), now: 0, jitter: 0)
        #expect(selector.next(next, now: 0) == .attempt(replica: 2, avoiding: []))
    }

    @Test func waitsGrowAndTheLastErrorIsTheReason() {
        var selector = selector(1)
        var operation = selector.begin(ranks: [0])
        selector.failed(0, in: &operation, error(0, .unreachable), now: 10, jitter: 0.5)
        // 0.1 * (1 + 0.5), of which 0.1 has passed.
        guard case .wait(let first) = selector.next(operation, now: 10.1) else {
            Issue.record("no wait")
            return
        }
        #expect(abs(first - 0.05) < 1e-9)
        #expect(selector.next(operation, now: 10.2) == .attempt(replica: 0, avoiding: []))
        selector.failed(0, in: &operation, error(0, .unreachable), now: 11, jitter: 0)
        guard case .wait(let second) = selector.next(operation, now: 11) else {
            Issue.record("no wait")
            return
        }
        #expect(abs(second - 0.4) < 1e-9)
        selector.failed(0, in: &operation, error(0, .denied), now: 12, jitter: 0)
        #expect(selector.next(operation, now: 12) == .giveUp)
        #expect(selector.error(of: "f") == error(0, .denied).cause)
        // A later operation has attempts of its own.
        #expect(selector.next(selector.begin(ranks: [0]), now: 12) == .attempt(replica: 0, avoiding: []))
    }

    @Test(arguments: ReplicaSelector.Outcome.allCases)
    func whatCannotBecomeGoodIsNotAskedAgain(_ outcome: ReplicaSelector.Outcome) {
        var selector = selector(2)
        var operation = selector.begin(ranks: [0, 1])
        selector.failed(0, in: &operation, error(0, outcome), now: 0, jitter: 0)
        selector.failed(1, in: &operation, error(1, .unreachable), now: 0, jitter: 0)
        let excluded: Set<ReplicaSelector.Outcome> = [
            .missing, .unsupported, .damaged, .otherIdentity, .checksumDiffers,
        ]
        #expect(outcome.excludes == excluded.contains(outcome))
        #expect(selector.next(operation, now: 1) == .attempt(replica: outcome.excludes ? 1 : 0, avoiding: []))
        // Nor by other operations on the file.
        let other = selector.next(selector.begin(ranks: [0, 1]), now: 1)
        #expect(other == .attempt(replica: outcome.excludes ? 1 : 0, avoiding: []))
    }

    @Test func aRedirectorIsAskedForOtherServersAtOnce() {
        var selector = selector(2)
        var operation = selector.begin(ranks: [0, 1])
        selector.failed(0, in: &operation, error(0, .unreachable), server: "a", now: 0, jitter: 0)
        #expect(selector.next(operation, now: 0) == .attempt(replica: 0, avoiding: ["a"]))
        selector.failed(0, in: &operation, error(0, .unreachable), server: "b", now: 0, jitter: 0)
        #expect(selector.next(operation, now: 0) == .attempt(replica: 0, avoiding: ["a", "b"]))
        // It has no third one: that is not the file's absence, and the first two have another chance, later.
        selector.failed(0, in: &operation, error(0, .missing), now: 0, jitter: 0)
        #expect(selector.state(0) == .failing)
        #expect(selector.errors.map(\.outcome) == [.unreachable])
        #expect(selector.next(operation, now: 0) == .attempt(replica: 1, avoiding: []))
        selector.failed(1, in: &operation, error(1, .timedOut), now: 0, jitter: 0)
        #expect(selector.next(operation, now: 0.1) == .attempt(replica: 0, avoiding: []))
        selector.succeeded(0)
        #expect(selector.next(selector.begin(ranks: [1, 0]), now: 1) == .attempt(replica: 0, avoiding: []))
    }

    @Test func aRejectedReplicaIsCountedOnce() {
        var selector = selector(2)
        selector.succeeded(0)
        let counted = [selector.reject(0, error(0, .damaged)), selector.reject(0, error(0, .damaged))]
        #expect(counted == [true, false])
        // Another reader's success with bytes that came earlier does not bring it back.
        selector.succeeded(0)
        #expect(selector.state(0) == .excluded)
        #expect(selector.next(selector.begin(ranks: [0, 1]), now: 0) == .attempt(replica: 1, avoiding: []))
        let last = selector.reject(1, error(1, .otherIdentity))
        #expect(last)
        #expect(selector.next(selector.begin(ranks: [0, 1]), now: 0) == .giveUp)
        let whole = selector.error(of: "lfn")
        #expect(whole.file == "lfn" && whole.description.contains("all 2 replicas failed: S0: damaged"))
    }

    @Test func absenceWhereOnlyTheCatalogueExpectsTheFileIsNoReason() {
        var selector = selector(3, certain: false)
        var operation = selector.begin(ranks: [0, 1, 2])
        selector.failed(1, in: &operation, error(1, .missing), now: 0, jitter: 0)
        selector.failed(2, in: &operation, error(2, .missing), now: 0, jitter: 0)
        selector.failed(0, in: &operation, error(0, .otherIdentity), now: 0, jitter: 0)
        #expect(selector.next(operation, now: 0) == .giveUp)
        #expect(selector.error(of: "f") == error(0, .otherIdentity).cause)
        let none = ReplicaSelector([])
        #expect(none.next(none.begin(ranks: []), now: 0) == .giveUp)
        #expect(none.error(of: "f").code == .missing)
    }

    /// Whatever sites do: an operation ends within its bounds, and only after each replica that may help was asked.
    @Test func everyOperationIsBoundedAndAsksEveryReplica() {
        var random = SeededRandom(seed: 11)
        for _ in 0..<3000 {
            let count = 1 + random.below(6)
            let policy = ReplicaSelector.Policy(maxAttempts: 1 + random.below(4), maxServers: 1 + random.below(3))
            var selector = selector(count, certain: random.below(2) == 0, policy: policy)
            var excluded: Set<Int> = []
            var now = 0.0
            // Operations follow one another on one file, as reads do.
            for _ in 0..<4 {
                let usableBefore = Set(0..<count).subtracting(excluded)
                var asked = [Int](repeating: 0, count: count)
                var waited = 0.0
                var operation = selector.begin(ranks: random.permutation(count))
                var ended = false
                while !ended {
                    switch selector.next(operation, now: now) {
                    case .attempt(let replica, _):
                        #expect(!excluded.contains(replica), "an excluded replica is asked")
                        asked[replica] += 1
                        now += Double(random.below(3)) * 0.2
                        if random.below(12) == 0 {
                            selector.succeeded(replica)
                            ended = true
                            break
                        }
                        let outcome = ReplicaSelector.Outcome.allCases[random.below(9)]
                        let server = random.below(3) == 0 ? "host\(random.below(4))" : nil
                        selector.failed(
                            replica, in: &operation, error(replica, outcome), server: server, now: now,
                            jitter: Double(random.below(100)) / 100)
                        if selector.state(replica) == .excluded { excluded.insert(replica) }
                        #expect(outcome.excludes || selector.state(replica) == .failing)
                    case .wait(let seconds):
                        #expect(seconds > 0 && seconds <= policy.maxWait)
                        waited += seconds
                        now += seconds + 1e-9
                    case .giveUp:
                        ended = true
                        for replica in usableBefore {
                            #expect(excluded.contains(replica) || asked[replica] >= policy.maxAttempts)
                            #expect(asked[replica] > 0, "a replica was never asked")
                        }
                        #expect(selector.error(of: "f").message.isEmpty == false)
                    }
                }
                #expect(asked.allSatisfy { $0 <= policy.maxAttempts * policy.maxServers })
                #expect(waited <= policy.maxWait * Double(count * policy.maxAttempts))
            }
        }
    }
}
