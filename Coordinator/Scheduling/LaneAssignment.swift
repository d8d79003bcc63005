package import Cluster

/// Who owns which lane: in equal numbers, and with the fewest lanes moved.
package enum LaneAssignment {
    /// - Parameters:
    ///   - owners: each lane's owner so far; nil for none.
    ///   - members: who is there now, by rank; not more than lanes.
    /// - Returns: for each lane, its owner's rank.
    package static func move(_ owners: [WorkerID?], to members: [WorkerID]) -> [Int] {
        let lanes = owners.count
        var kept = [[Int]](repeating: [], count: members.count)
        for (lane, owner) in owners.enumerated() {
            if let owner, let rank = members.firstIndex(of: owner) { kept[rank].append(lane) }
        }
        // Those that have the most keep the odd lanes.
        let order = members.indices.sorted { (-kept[$0].count, $0) < (-kept[$1].count, $1) }
        var result = [Int?](repeating: nil, count: lanes)
        var free = [Int](repeating: lanes / members.count, count: members.count)
        for rank in order.prefix(lanes % members.count) { free[rank] += 1 }
        for rank in members.indices {
            for lane in kept[rank].prefix(free[rank]) { result[lane] = rank }
            free[rank] -= min(free[rank], kept[rank].count)
        }
        return result.map { rank in
            if let rank { return rank }
            let rank = free.indices.max { (free[$0], -$0) < (free[$1], -$1) } ?? 0
            free[rank] -= 1
            return rank
        }
    }

    /// What a job asks of the workers.
    package struct Claim: Sendable {
        package var job: JobID
        package var priority: Int
        /// Workers that the job can use at once.
        package var maxWorkers: Int
        /// Workers that can read the job's files.
        package var eligible: [WorkerID]
        /// Workers that it has.
        package var members: [WorkerID]

        package init(job: JobID, priority: Int, maxWorkers: Int, eligible: [WorkerID], members: [WorkerID]) {
            self.job = job
            self.priority = priority
            self.maxWorkers = maxWorkers
            self.eligible = eligible
            self.members = members
        }
    }

    /// Which workers train which job: the highest priority first, jobs of one priority in equal shares, each keeping
    /// those it has.
    /// - Parameter claims: in any order.
    package static func share(_ claims: [Claim]) -> [(id: JobID, workers: [WorkerID])] {
        var taken = IntegerMap<WorkerID, Bool>()
        var result: [(id: JobID, workers: [WorkerID])] = []
        let sorted = claims.sorted { (-$0.priority, $0.job) < (-$1.priority, $1.job) }
        var start = 0
        while start < sorted.count {
            let group = Array(sorted[start...].prefix { $0.priority == sorted[start].priority })
            start += group.count
            let quotas = quotas(group, taken)
            var workers = zip(group, quotas).map { claim, quota in
                var able = IntegerMap<WorkerID, Bool>()
                for worker in claim.eligible { able[worker] = true }
                return Array(claim.members.filter { taken[$0] == nil && able[$0] != nil }.prefix(quota))
            }
            for worker in workers.joined() { taken[worker] = true }
            for (index, claim) in group.enumerated() {
                for worker in claim.eligible where workers[index].count < quotas[index] && taken[worker] == nil {
                    workers[index].append(worker)
                    taken[worker] = true
                }
            }
            result += zip(group, workers).map { ($0.job, $1) }
        }
        return result
    }

    /// How many of the free workers each claim of one priority gets.
    private static func quotas(_ group: [Claim], _ taken: IntegerMap<WorkerID, Bool>) -> [Int] {
        var free = IntegerMap<WorkerID, Bool>()
        for claim in group { for worker in claim.eligible where taken[worker] == nil { free[worker] = true } }
        var quotas = group.map { _ in 0 }
        for _ in 0..<free.count {
            let open = quotas.indices.filter { quotas[$0] < group[$0].maxWorkers }
            guard let smallest = open.min(by: { quotas[$0] < quotas[$1] }) else { break }
            quotas[smallest] += 1
        }
        return quotas
    }
}
