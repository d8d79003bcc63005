import Cluster
import Scheduling
import Testing

@Suite struct PlannerTests {
    @Test func chunksAreWholeBlocks() {
        let boundaries: [Int64] = [0, 10, 20, 30, 100, 105]
        func cuts(_ boundaries: [Int64], _ clusters: [Int64], _ events: Int64, _ blocks: Int = .max) -> [Int32] {
            ChunkPlanner.cuts(boundaries, clusters: clusters, events: events, blocks: blocks)
        }
        #expect(cuts(boundaries, boundaries, 25) == [2, 3, 4, 5])
        #expect(cuts([0], [0], 10).isEmpty)
        #expect(cuts(boundaries, boundaries, 1000) == [5])
        // Inside a cluster nothing is cut, unless it is very long.
        #expect(cuts([0, 10, 20, 30, 40, 50], [0, 20, 50], 25) == [2, 5])
        #expect(cuts([0, 10, 20, 30, 40, 50], [0, 50], 5) == [2, 4, 5])
        #expect(cuts([0, 10, 20, 30], [0, 20, 30], 100, 1) == [1, 2, 3])
    }

    @Test func branchesAreResolved() throws {
        func survey(_ branches: [SurveyedBranch]) -> Survey {
            Survey(bytes: 1, identity: "i", entries: 1, boundaries: [0, 1], clusters: [0, 1], branches: branches)
        }
        func branch(
            _ name: String, _ type: String = "float", _ fixed: Int? = 1, _ reason: String? = nil
        ) -> SurveyedBranch {
            SurveyedBranch(name: name, type: type, fixedValues: fixed, itemValues: 1, unsupported: reason)
        }
        var job = JobDescription(name: "j", datasets: [])
        job.branches.drop = ["gen_*"]
        let first = survey([branch("x"), branch("gen_w"), branch("only"), branch("s", "string", 1, "text")])
        let second = survey([branch("x", "double"), branch("s", "string", 1, "text")])
        let found = try BranchResolution(job, files: [("a", first), ("b", second)])
        #expect(found.branches == ["x"])
        #expect(found.leftOut.count == 2)
        // A target is read, whether it would be a feature or not.
        var regression = job
        for (name, branches) in [("x", ["x", "y"]), ("gen_w", ["x", "gen_w", "y"])] {
            regression.target = .init(branch: name)
            let one = survey([branch("x"), branch("gen_w"), branch("y")])
            #expect(try BranchResolution(regression, files: [("a", one), ("b", one)]).branches == branches)
        }
        regression.target = .init(branch: "s")
        let unreadable = #expect(throws: BranchResolution.Mistakes.self) {
            try BranchResolution(regression, files: [("a", first)])
        }
        #expect(unreadable?.sentences == ["target s: a has no such readable branch"])
        job.branches.keep = ["only"]
        #expect(throws: BranchResolution.Mistakes.self) {
            try BranchResolution(job, files: [("a", first), ("b", second)])
        }
        job.branches.keep = ["*"]
        let integer = survey([branch("x", "int32")])
        let error = #expect(throws: BranchResolution.Mistakes.self) {
            try BranchResolution(job, files: [("a", first), ("c", integer)])
        }
        #expect(error?.sentences[0].contains("a") == true && error?.sentences[0].contains("in c") == true)
    }
}
