package import Cluster
import OrderedCollections

/// Which branches a job reads: what the files have, held against what the job keeps.
package struct BranchResolution: Equatable, Sendable {
    /// Read and counted, in the first file's order.
    package var branches: [String] = []
    /// Matched by a wildcard, but left out: each with the reason.
    package var leftOut: [String] = []

    /// A sentence for each mistake; the job cannot go on.
    package struct Mistakes: Error, Equatable { package var sentences: [String] }

    package init(_ job: JobDescription, files: [(url: String, survey: Survey)]) throws(Mistakes) {
        guard let first = files.first else { throw Mistakes(sentences: ["no file is left to read"]) }
        var mistakes: [String] = []
        let byFile = files.map { file in
            OrderedBranches(file.survey.branches)
        }
        for pattern in job.branches.keep where !pattern.contains("*") && !pattern.contains("?") {
            for (file, names) in zip(files, byFile) {
                guard let found = names.find(pattern) else {
                    mistakes.append(
                        "the branch \(pattern) is kept by name, but \(file.url) has no such branch in its tree")
                    continue
                }
                if let reason = found.unsupported {
                    mistakes.append("the branch \(pattern) of \(file.url) cannot be read: \(reason)")
                }
            }
        }
        if let truth = job.truthBranch {
            let key = job.target == nil ? "label_branch" : "target"
            for (file, names) in zip(files, byFile)
            where names.find(truth)?.unsupported != nil || names.find(truth) == nil {
                mistakes.append("\(key) \(truth): \(file.url) has no such readable branch")
            }
        }
        var candidates: [String] = []
        var seen: OrderedSet<String> = []
        for file in files {
            for branch in file.survey.branches where seen.append(branch.name).inserted {
                candidates.append(branch.name)
            }
        }
        for name in candidates where name == job.truthBranch || job.branches.isKept(name) {
            Self.consider(name, files, byFile, &branches, &leftOut, &mistakes)
        }
        if mistakes.isEmpty, branches.filter({ $0 != job.truthBranch }).isEmpty {
            mistakes.append("no branch is left to read in \(first.url); check branches: keep and drop")
        }
        guard mistakes.isEmpty else { throw Mistakes(sentences: mistakes) }
    }

    private static func consider(
        _ name: String, _ files: [(url: String, survey: Survey)], _ byFile: [OrderedBranches],
        _ branches: inout [String],
        _ leftOut: inout [String], _ mistakes: inout [String]
    ) {
        let found = byFile.map { $0.find(name) }
        if let lacking = found.firstIndex(where: { $0 == nil }) {
            let count = found.count { $0 == nil }
            leftOut.append(
                "\(name): \(files[lacking].url) lacks it" + (count > 1 ? ", and \(count - 1) more files" : ""))
            return
        }
        if let bad = found.firstIndex(where: { $0!.unsupported != nil }) {
            leftOut.append("\(name): \(found[bad]!.unsupported!)")
            return
        }
        func kind(_ branch: SurveyedBranch) -> String {
            (["float", "double"].contains(branch.type) ? "floating point" : "integer")
                + (branch.fixedValues == nil ? ", jagged" : ", \(branch.fixedValues!) values")
        }
        if let other = found.firstIndex(where: { kind($0!) != kind(found[0]!) }) {
            mistakes.append(
                """
                the branch \(name) is \(found[0]!.type) (\(kind(found[0]!))) in \(files[0].url), \
                but \(found[other]!.type) (\(kind(found[other]!))) in \(files[other].url)
                """
            )
            return
        }
        branches.append(name)
    }
}

/// Branches of one file, found by name in logarithmic time.
private struct OrderedBranches {
    private let sorted: [SurveyedBranch]

    init(_ branches: [SurveyedBranch]) {
        sorted = branches.enumerated().sorted { ($0.element.name, $0.offset) < ($1.element.name, $1.offset) }.map(
            \.element)
    }

    func find(_ name: String) -> SurveyedBranch? {
        var low = 0
        var high = sorted.count
        while low < high {
            let middle = (low + high) / 2
            if sorted[middle].name < name { low = middle + 1 } else { high = middle }
        }
        return low < sorted.count && sorted[low].name == name ? sorted[low] : nil
    }
}
