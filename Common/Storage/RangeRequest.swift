import Bytes
import Cluster

/// One request for one or several ranges.
struct RangeRequest: Sendable {
    let url: String
    let ranges: [ByteRange]
    /// Size and tag of the file in an earlier answer: a later one must agree.
    let size: Int?
    let tag: String?

    var bytes: Int { ranges.reduce(0) { $0 + $1.length } }

    var header: String { "bytes=" + ranges.map { "\($0.offset)-\($0.end - 1)" }.joined(separator: ",") }

    /// Compares an answer with an earlier one.
    func checkSame(_ total: Int, _ found: String?) throws(InputError) {
        if let size, size != total { throw changed("\(size) bytes", "\(total)") }
        if let tag, let found, tag != found { throw changed(tag, found) }
    }

    func checkStatus(_ status: UInt) throws(InputError) {
        let site = StorageURL(url).endpoint
        switch status {
        case 206: return
        case 200:
            throw InputError(
                .unsupported, "the site \(site) does not give parts of a file", expected: "HTTP status 206",
                found: "200",
                hint: "Read the file by root://, or copy it.")
        case 416 where ranges.count > 1: throw several("status 416")
        case 401, 403: throw InputError(.denied, "the site \(site) denied access (HTTP status \(status))")
        case 404, 410: throw InputError(.missing, "the site \(site) has no such file (HTTP status \(status))")
        case 412: throw changed(tag ?? "", "another")
        default: throw InputError(.faulty, "the site \(site) answers with an error (HTTP status \(status))")
        }
    }

    func several(_ found: String) -> InputError {
        InputError(
            .unsupported, "the site does not give several ranges in one answer", expected: "multipart/byteranges",
            found: found)
    }

    private func changed(_ expected: String, _ found: String) -> InputError {
        InputError(.changed, "the file changed since it was opened", expected: expected, found: found)
    }

    /// `bytes FIRST-LAST/TOTAL`.
    struct ContentRange {
        var range: ByteRange
        var total: Int

        init?(_ text: some StringProtocol) {
            let parts = text.dropFirst("bytes ".count).split(separator: "/")
            let ends = parts.first?.split(separator: "-") ?? []
            guard text.hasPrefix("bytes "), parts.count == 2, ends.count == 2, let first = Int(ends[0]),
                let last = Int(ends[1]),
                let total = Int(parts[1]), first >= 0, last >= first, total > last
            else { return nil }
            range = ByteRange(offset: first, length: last - first + 1)
            self.total = total
        }
    }

    /// The answer's one range must be the one that was asked for, cut at the file's end.
    func checkSingle(_ header: String?) throws(InputError) -> Int {
        let asked = ranges[0]
        guard let found = header.flatMap({ ContentRange($0) }), found.range.offset == asked.offset,
            found.range.end == min(asked.end, found.total)
        else {
            throw InputError(
                .faulty, "the site answers for another range than was asked for",
                expected: "bytes \(asked.offset)-\(asked.end - 1)/SIZE",
                found: header ?? "none")
        }
        return found.total
    }
}
