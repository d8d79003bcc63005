import AsyncHTTPClient
package import Bytes
import Cluster
import Dispatch
import NIOCore
import NIOHTTP1
import NIOSSL
import Synchronization

/// A file at an `http://`, `https://`, `dav://` or `davs://` site, read by range requests: many ranges in one where the
/// server does that.
package final class HTTPSource: RangeSource {
    package let url: String
    package let size: Int
    /// The server's tag for this very content, where it gives one that is exact.
    private let tag: String?
    private let site: SiteAccess
    /// Ranges of one request; more would make its head too long for some servers.
    private static let maxRanges = 100

    /// Asks for the first byte: the answer has the size, and shows whether the server gives ranges.
    package init(url: String, site: SiteAccess) throws(InputError) {
        self.url = url
        self.site = site
        let request = RangeRequest(
            url: Self.address(url), ranges: [ByteRange(offset: 0, length: 1)], size: nil, tag: nil)
        let head = try PendingAnswer(
            request, RequestCredentials(site, url), site.resources.http, site, nil, seconds: site.limits.openSeconds
        ).wait(url, "cannot open the file")
        size = head.size
        tag = head.tag
    }

    /// Grid names of the same protocols.
    private static func address(_ url: String) -> String {
        if url.hasPrefix("davs://") { return "https" + url.dropFirst(4) }
        if url.hasPrefix("dav://") { return "http" + url.dropFirst(3) }
        return url
    }

    /// Brings the ranges that are missing: see `RangeSource`.
    package func read(into fetch: RangeFetch) throws(InputError) {
        try check(fetch.ranges)
        let credentials = try RequestCredentials(site, url)
        do throws(InputError) { try read(into: fetch, credentials, several: site.vectorsAllowed) } catch {
            guard error.code == .unsupported, site.vectorsAllowed else { throw error }
            // A server that has no several ranges in one request is asked for each by itself.
            site.forbidVectors()
            try read(into: fetch, credentials, several: false)
        }
    }

    private func read(into fetch: RangeFetch, _ credentials: RequestCredentials, several: Bool) throws(InputError) {
        let limits = site.limits
        let plan = CoalescedRanges(
            fetch, gap: several ? limits.gapBytes : max(limits.gapBytes, 32 << 10), limit: limits.requestBytes)
        var pending: [(answer: PendingAnswer, pieces: Range<Int>)] = []
        var settled = 0
        for pieces in bundles(plan.merged, limits, several: several) {
            let request = RangeRequest(url: Self.address(url), ranges: Array(plan.merged[pieces]), size: size, tag: tag)
            while true {
                if let ticket = try site.enter(request.bytes, wait: settled == pending.count) {
                    pending.append(
                        (
                            PendingAnswer(
                                request, credentials, site.resources.http, site, ticket, seconds: limits.readSeconds),
                            pieces
                        ))
                    break
                }
                try settle()
            }
        }
        while settled < pending.count { try settle() }

        func settle() throws(InputError) {
            let (waiting, pieces) = pending[settled]
            settled += 1
            let answer = try waiting.wait(url, "cannot read")
            for (offset, piece) in zip(answer.offsets, pieces) {
                plan.set(piece, to: UnsafeRawPointer(answer.buffer.pointer + offset), in: fetch)
            }
            fetch.keep(answer.buffer, transferred: plan.merged[pieces].reduce(0) { $0 + $1.length })
        }
    }

    /// Which merged ranges go into one request.
    private func bundles(_ merged: [ByteRange], _ limits: SiteLimits, several: Bool) -> [Range<Int>] {
        var bundles: [Range<Int>] = []
        var bytes = 0
        for (index, range) in merged.enumerated() {
            if several, let last = bundles.last, last.count < Self.maxRanges,
                bytes + range.length <= limits.requestBytes / 4
            {
                bundles[bundles.count - 1] = last.lowerBound..<index + 1
                bytes += range.length
            } else {
                bundles.append(index..<index + 1)
                bytes = range.length
            }
        }
        return bundles
    }

    static func failure(_ error: any Error, _ url: String, _ what: String) -> InputError {
        let site = StorageURL(url).endpoint
        if var known = error as? InputError {
            known.message = "\(what): \(known.message)"
            return known.located(file: url)
        }
        if let error = error as? HTTPClientError,
            [.connectTimeout, .readTimeout, .deadlineExceeded, .getConnectionFromPoolTimeout].contains(error)
        {
            return InputError(.deadline, "\(what): the site \(site) did not answer in time", file: url)
        }
        return InputError(
            .unreachable, "\(what): the site \(site) cannot be reached (\(error))", file: url,
            hint: "Check the host and port, and that its server runs.")
    }
}

extension HTTPSource {
    /// The adler32 that the server has of the file (RFC 3230).
    static func digest(_ url: String, at site: SiteAccess) throws(InputError) -> String {
        let credentials = try RequestCredentials(site, url)
        let done = DispatchSemaphore(value: 0)
        let result = Mutex<Result<String?, any Error>?>(nil)
        do {
            var message = try HTTPClient.Request(url: address(url), method: .HEAD)
            message.tlsConfiguration = credentials.tls
            message.headers.add(name: "Want-Digest", value: "adler32")
            if let token = credentials.token { message.headers.add(name: "Authorization", value: "Bearer \(token)") }
            let answer = site.resources.http.execute(
                request: message, deadline: .now() + .seconds(Int64(site.limits.openSeconds)))
            answer.whenComplete { outcome in
                result.withLock { $0 = outcome.map { $0.status.code == 200 ? $0.headers.first(name: "Digest") : nil } }
                done.signal()
            }
        } catch { throw failure(error, url, "cannot get the file's checksum") }
        done.wait()
        switch result.withLock({ $0! }) {
        case .failure(let error): throw failure(error, url, "cannot get the file's checksum")
        case .success(let digest):
            for part in (digest ?? "").split(separator: ",") {
                let words = part.drop { $0 == " " }.split(separator: "=", maxSplits: 1)
                if words.count == 2, words[0].lowercased() == "adler32" { return String(words[1]) }
            }
            throw InputError(
                .unsupported, "the site has no adler32 of its files", file: url,
                expected: "a header Digest: adler32=...", found: digest ?? "none")
        }
    }
}
