import Serving
import Testing

/// Every order in which the steps of two and three pushes of one name can happen, with every fate of each.
@Suite struct PushInterleavingTests {
    /// What becomes of a push by itself.
    private enum Fate: CaseIterable { case serves, brokenBundle, fullDisk }

    private enum Step { case arrives, isLoaded, isCommitted, isOver }

    private struct Push {
        var digest: String
        var fate: Fate
        var step = Step.arrives
        var number: Int64 = 0
    }

    /// A node as `ModelStore` runs it: the table in memory, the index on disk, and what was answered.
    private struct Node {
        var table = ServableTable()
        var disk = VersionIndex()
        var acknowledged: [(version: Int64, digest: String)] = []
        var lastServed: Int64 = 0

        mutating func advance(_ push: inout Push) {
            switch push.step {
            case .arrives:
                switch table.admit("m", digest: push.digest) {
                case .known(let version):
                    acknowledged.append((version, push.digest))
                    push.step = .isOver
                case .load(let version):
                    push.number = version
                    push.step = .isLoaded
                }
            case .isLoaded:
                if push.fate == .brokenBundle {
                    table.failed("m", push.number, because: "broken")
                    push.step = .isOver
                } else {
                    table.loaded("m", push.number)
                    push.step = .isCommitted
                }
            case .isCommitted:
                commit(push)
                push.step = .isOver
            case .isOver: break
            }
        }

        private mutating func commit(_ push: Push) {
            let outcome = table.outcome("m", push.number)
            if case .serves = outcome {
                guard push.fate != .fullDisk else { return table.failed("m", push.number, because: "full") }
                disk = disk.serving("m", version: push.number, digest: push.digest)
            }
            guard table.warmed("m", push.number) == outcome else { return }
            if case .serves(let old) = outcome { for version in old { table.unloaded("m", version) } }
            acknowledged.append((push.number, push.digest))
        }

        /// What is wrong with the state; nil where nothing is.
        mutating func violation() -> String? {
            let serving = table.versions("m").filter { $0.state == .available }
            guard serving.count <= 1 else { return "\(serving.count) versions answer" }
            let (number, digest) = (serving.first?.number ?? 0, serving.first?.digest)
            guard number >= lastServed else { return "version \(number) after \(lastServed)" }
            lastServed = number
            guard disk.models.first?.version == serving.first?.number, disk.models.first?.digest == digest else {
                return "the disk has \(disk.models), in memory \(serving)"
            }
            for (version, known) in acknowledged {
                guard version < number || version == number && known == digest else {
                    return "version \(version) was acknowledged, and \(number) answers"
                }
            }
            return nil
        }

        /// What is wrong after all pushes.
        func violationAtTheEnd(_ pushes: [Push]) -> String? {
            let loading = table.versions("m").filter { $0.state != .available }
            guard loading.isEmpty else { return "\(loading) are left" }
            // Those that could serve: the highest of them does.
            let able = pushes.filter { $0.fate == .serves && $0.number > 0 }.map(\.number)
            guard able.allSatisfy({ $0 <= lastServed }) else { return "\(able) could serve, \(lastServed) does" }
            guard acknowledged.count >= able.count else { return "a push was not answered" }
            // A new life of the node gives higher numbers than any that was acknowledged.
            var next = ServableTable()
            for entry in disk.models {
                next.resume(entry.name, after: entry.lastNumber)
                next.restore(entry.name, number: entry.version, digest: entry.digest)
                next.loaded(entry.name, entry.version)
                guard next.warmed(entry.name, entry.version) == .serves(unload: []) else {
                    return "nothing serves again"
                }
            }
            guard case .load(let number) = next.admit("m", digest: "another"),
                acknowledged.allSatisfy({ $0.version < number })
            else { return "numbers do not go on" }
            return nil
        }
    }

    private func explore(_ node: Node, _ pushes: [Push], _ count: inout Int) -> String? {
        var isOver = true
        for index in pushes.indices where pushes[index].step != .isOver {
            isOver = false
            var (next, others) = (node, pushes)
            next.advance(&others[index])
            if let wrong = next.violation() ?? explore(next, others, &count) { return wrong }
        }
        guard isOver else { return nil }
        count += 1
        return node.violationAtTheEnd(pushes)
    }

    @Test(arguments: [["a", "b"], ["a", "a"]])
    func twoPushes(_ digests: [String]) { check(digests, orders: 20) }

    @Test(arguments: [["a", "b", "c"], ["a", "a", "b"], ["a", "b", "a"], ["b", "a", "a"], ["a", "a", "a"]])
    func threePushes(_ digests: [String]) { check(digests, orders: 1680) }

    /// - Parameter orders: those of three steps of each push; fewer where a push fails or is known.
    private func check(_ digests: [String], orders: Int) {
        var most = 0
        for code in 0..<(0..<digests.count).reduce(1, { count, _ in 3 * count }) {
            var rest = code
            let pushes = digests.map { digest in
                defer { rest /= 3 }
                return Push(digest: digest, fate: Fate.allCases[rest % 3])
            }
            var count = 0
            let wrong = explore(Node(), pushes, &count)
            #expect(wrong == nil, "\(pushes.map(\.fate)): \(wrong ?? "")")
            most = max(most, count)
        }
        #expect(Set(digests).count < digests.count ? most > 1 : most == orders)
    }
}
