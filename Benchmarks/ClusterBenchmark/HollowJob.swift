import Cluster
import Specs

/// The files that the hollow workers pretend to read: equal blocks of 1,000 events.
struct HollowJob: Sendable {
    let files: Int
    let blocks: Int
    let branches: Int
    static let events: Int64 = 1000
    private let specs: [UInt8]

    init(files: Int, blocks: Int, branches: Int) {
        (self.files, self.blocks, self.branches) = (files, blocks, branches)
        var statistics = BranchStatistics()
        (
            statistics.values, statistics.min, statistics.max, statistics.mean, statistics.squares,
            statistics.multiplicity
        ) = (Self.events, 0, 1, 0.5, 1, 1)
        let none = PartialSpecs(branches: .init(repeating: BranchStatistics(), count: branches))
        specs = SpecsCoding.encode([
            PartTable(
                train: PartialSpecs(rows: Self.events, branches: .init(repeating: statistics, count: branches)),
                validation: none, test: none)
        ])
    }

    func receipt(_ grant: Grant) -> Receipt {
        switch grant.body {
        case .list: return Receipt(grant.lease, .listed((0..<files).map { FileReplicas("root://bench//f\($0).root") }))
        case .survey(let file, _, _):
            let boundaries = (0...Int64(blocks)).map { $0 * Self.events }
            let names = (0..<branches).map {
                SurveyedBranch(name: "b\($0)", type: "float", fixedValues: 1, itemValues: 1, unsupported: nil)
            }
            return Receipt(
                grant.lease,
                .surveyed(
                    Survey(
                        bytes: 1 << 30, identity: file.url, entries: boundaries.last!, boundaries: boundaries,
                        clusters: boundaries, branches: names)))
        // Of so many seconds that chunks do not grow: each is a block.
        case .chunk(let chunk):
            precondition(chunk.boundaries.count == 2)
            return Receipt(grant.lease, .counted(bytesRead: 1 << 20, seconds: 60), specs: specs)
        }
    }
}
