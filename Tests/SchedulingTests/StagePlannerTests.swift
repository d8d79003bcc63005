import Cluster
import Scheduling
import Testing

/// Stages are planned from a view alone: no database, no site.
@Suite struct StagePlannerTests {
    private struct View: PlanningView {
        var job: JobDescription
        var files: [PlannedFile] = []

        func description(of id: JobID) throws -> JobDescription? { id == JobID(1) ? job : nil }
        func files(of job: JobID) throws -> [PlannedFile] { files }
        func maxBlocks(branches: Int) -> Int32 { Int32(branches) }
    }

    private func file(
        _ id: Int, _ url: String, identity: String? = nil, isSkipped: Bool = false, branches: [String] = ["x", "y"]
    ) -> PlannedFile {
        let survey = identity.map { identity in
            Survey(
                bytes: 1, identity: identity, entries: 40, boundaries: [0, 10, 20, 30, 40],
                clusters: [0, 10, 20, 30, 40],
                branches: branches.map {
                    SurveyedBranch(name: $0, type: "float", fixedValues: 1, itemValues: 1, unsupported: nil)
                })
        }
        return PlannedFile(id: FileID(id), dataset: 0, urls: [url], survey: survey, isSkipped: isSkipped)
    }

    private func planner(_ files: [PlannedFile], events: Int64 = 100) -> StagePlanner<View> {
        var job = JobDescription(
            name: "j", datasets: [.init(name: "a", label: 0, tree: "t", files: ["root://s//*.root", "/local/b.root"])])
        job.chunkEvents = events
        return StagePlanner(
            View(job: job, files: files), sites: { urls in urls.map { "site of \($0)" } },
            training: { _ in
                var plan = StagePlan()
                plan.notes = ["planned"]
                return plan
            })
    }

    @Test func listsAndSurveysHaveAUnitEach() throws {
        let files = [file(7, "root://s//a"), file(5, "/local/b.root"), file(6, "root://s//c", isSkipped: true)]
        let planner = planner(files)
        let lists = try planner.plan(JobID(1), .list).units
        #expect(lists.map(\.id) == [.pattern(0), .pattern(1)] && lists[0].sites == ["site of root://s//*.root"])
        #expect(lists[0].localPath == nil && lists[1].localPath == "/local/b.root")
        let surveys = try planner.plan(JobID(1), .survey).units
        #expect(surveys.map(\.id) == [.file(FileID(7)), .file(FileID(5))] && surveys[1].localPath == "/local/b.root")
        #expect(surveys.allSatisfy { $0.cuts == [1] })
    }

    @Test func specsAreCutIntoChunksOfWholeBlocks() throws {
        let planner = planner([file(2, "a", identity: "i"), file(1, "b", identity: "k", branches: ["x", "z", "y"])])
        let plan = try planner.plan(JobID(1), .specs)
        // Two branches are common to both files, and two blocks are the most of a chunk then.
        #expect(plan.maxBlocks == 2 && plan.units.map(\.cuts) == [[2, 4], [2, 4]])
        #expect(
            plan.writes == [
                .job(JobID(1), .branches(["x", "y"])), .file(FileID(2), .cuts([2, 4])),
                .file(FileID(1), .cuts([2, 4])),
            ])
        #expect(plan.notes.count == 1 && plan.notes[0].contains("z"))
    }

    @Test func whatCannotBePlannedIsExplained() {
        func reason(_ planner: StagePlanner<View>, _ stage: JobStage = .specs, job: Int = 1) -> String {
            do {
                _ = try planner.plan(JobID(job), stage)
                return ""
            } catch { return (error as? PlanFailure)?.reason ?? "\(error)" }
        }
        let twice = planner([file(1, "a", identity: "i"), file(2, "b", identity: "k"), file(3, "c", identity: "i")])
        #expect(reason(twice).contains("a and c"))
        #expect(reason(planner([file(1, "a")])).contains("not surveyed"))
        #expect(reason(planner([file(1, "a", isSkipped: true)])).contains("no file is left"))
        #expect(reason(planner([]), .done).contains("cannot be planned"))
        #expect(reason(planner([]), job: 2).contains("no job 2"))
    }

    @Test func aTrainingIsPlannedElsewhere() throws {
        #expect(try planner([]).plan(JobID(1), .train).notes == ["planned"])
        #expect(try planner([]).plan(JobID(1), .publish) == StagePlan())
    }

    @Test func restoredUnitsGetTheirSites() throws {
        let planner = planner([file(9, "c"), file(3, "a"), file(4, "b")])
        var job = RestoredJob(
            id: JobID(1), description: JobDescription(name: "j", datasets: []), stage: .survey)
        job.units = [4, 9, 3, 8].map { WorkUnit(id: .file(FileID($0)), sites: [], cuts: [5], next: $0) }
        let complete = try planner.complete(job).units
        #expect(complete.map(\.sites) == [["site of b"], ["site of c"], ["site of a"], []])
        #expect(complete.map(\.next) == [4, 9, 3, 8] && complete.allSatisfy { $0.cuts == [5] })
    }
}
