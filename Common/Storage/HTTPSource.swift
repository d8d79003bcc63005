import AsyncHTTPClient
import Bytes
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
    private static let rangesMost = 100

    /// Asks for the first byte: the answer tells the size, and whether the server gives ranges.
    package init(url: String, site: SiteAccess) throws(InputError) {
        self.url = url
        self.site = site
        let request = RangeRequest(
            url: Self.address(url), ranges: [ByteRange(offset: 0, length: 1)], size: nil, tag: nil)
        let head = try PendingAnswer(
            request, Passport(site, url), site.resources.http, site, nil, seconds: site.limits.openSeconds
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

    package func read(into fetch: RangeFetch) throws(InputError) {
        try check(fetch.ranges)
        let passport = try Passport(site, url)
        do throws(InputError) { try read(into: fetch, passport, several: site.vectorsAllowed) } catch {
            guard error.code == .unsupported, site.vectorsAllowed else { throw error }
            // A server that has no several ranges in one request is asked for each by itself.
            site.forbidVectors()
            try read(into: fetch, passport, several: false)
        }
    }

    private func read(into fetch: RangeFetch, _ passport: Passport, several: Bool) throws(InputError) {
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
                                request, passport, site.resources.http, site, ticket, seconds: limits.readSeconds),
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
            for (place, piece) in zip(answer.places, pieces) {
                plan.place(piece, at: UnsafeRawPointer(answer.buffer.pointer + place), in: fetch)
            }
            fetch.keep(answer.buffer, transferred: plan.merged[pieces].reduce(0) { $0 + $1.length })
        }
    }

    /// Which merged ranges go into one request.
    private func bundles(_ merged: [ByteRange], _ limits: SiteLimits, several: Bool) -> [Range<Int>] {
        var bundles: [Range<Int>] = []
        var bytes = 0
        for (index, range) in merged.enumerated() {
            if several, let last = bundles.last, last.count < Self.rangesMost,
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

/// What a request shows of itself: the token, and for TLS the proxy and whom to trust.
private struct Passport: Sendable {
    let token: String?
    let tls: TLSConfiguration?

    init(_ site: SiteAccess, _ url: String) throws(InputError) {
        guard StorageURL(url).isEncrypted else {
            (token, tls) = (nil, nil)
            return
        }
        let credentials = site.credentials
        token = try credentials.token()?.text
        var configuration = TLSConfiguration.makeClientConfiguration()
        if let directory = credentials.certificates { configuration.trustRoots = .file(directory) }
        if token == nil, let path = credentials.proxy {
            do {
                configuration.certificateChain = try NIOSSLCertificate.fromPEMFile(path).map { .certificate($0) }
                configuration.privateKey = .privateKey(try NIOSSLPrivateKey(file: path, format: .pem))
            } catch { throw InputError(.refused, "the X.509 proxy cannot be used: \(error)", object: path) }
        }
        tls = configuration
    }
}

/// An answer that is on its way. What is abandoned owns its bytes, so that an answer that comes late harms nobody.
///
/// It comes on the client's own threads: whoever waits here blocks none of the concurrency runtime's.
private final class PendingAnswer {
    private let task: Result<HTTPClient.Task<RangeAnswer>, any Error>
    private let site: SiteAccess
    private var ticket: SiteAccess.Ticket?
    private let seconds: Int
    private let done = DispatchSemaphore(value: 0)
    private let result = ResultBox()

    private final class ResultBox: Sendable {
        let value = Mutex<Result<RangeAnswer, any Error>?>(nil)
    }

    init(
        _ request: RangeRequest, _ passport: Passport, _ client: HTTPClient, _ site: SiteAccess,
        _ ticket: SiteAccess.Ticket?, seconds: Int
    ) {
        (self.site, self.ticket, self.seconds) = (site, ticket, seconds)
        do {
            var message = try HTTPClient.Request(url: request.url)
            message.tlsConfiguration = passport.tls
            message.headers.add(name: "Range", value: request.header)
            if let token = passport.token { message.headers.add(name: "Authorization", value: "Bearer \(token)") }
            // Where the content is another by now, the server says so instead of sending it.
            if let tag = request.tag { message.headers.add(name: "If-Match", value: tag) }
            let task = client.execute(
                request: message, delegate: RangeReceiver(request), deadline: .now() + .seconds(Int64(seconds)))
            let (done, result) = (done, result)
            task.futureResult.whenComplete { outcome in
                result.value.withLock { $0 = outcome }
                done.signal()
            }
            self.task = .success(task)
        } catch { task = .failure(error) }
    }

    deinit {
        if let ticket { site.leave(ticket, .failed) }
        if case .success(let task) = task { task.cancel() }
    }

    func wait(_ url: String, _ what: String) throws(InputError) -> RangeAnswer {
        if case .failure(let error) = task { throw HTTPSource.failure(error, url, what) }
        guard done.wait(timeout: .now() + .seconds(seconds + 2)) == .success,
            let outcome = result.value.withLock({ $0 })
        else {
            throw InputError(
                .deadline, "\(what): the site \(StorageURL(url).endpoint) did not answer in \(seconds) s", file: url)
        }
        switch outcome {
        case .success(let answer):
            if let ticket { site.leave(ticket, .read) }
            ticket = nil
            return answer
        case .failure(let error): throw HTTPSource.failure(error, url, what)
        }
    }
}

extension HTTPSource {
    /// The adler32 that the server tells (RFC 3230).
    static func digest(_ url: String, at site: SiteAccess) throws(InputError) -> String {
        let passport = try Passport(site, url)
        let done = DispatchSemaphore(value: 0)
        let result = Mutex<Result<String?, any Error>?>(nil)
        do {
            var message = try HTTPClient.Request(url: address(url), method: .HEAD)
            message.tlsConfiguration = passport.tls
            message.headers.add(name: "Want-Digest", value: "adler32")
            if let token = passport.token { message.headers.add(name: "Authorization", value: "Bearer \(token)") }
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
