import AsyncHTTPClient
import Bytes
import Cluster
import Dispatch
import NIOCore
import NIOHTTP1
import Synchronization

/// An answer that is on its way. What is abandoned owns its bytes, so that an answer that comes late harms nobody.
///
/// It comes on the client's own threads: whoever waits here blocks none of the concurrency runtime's.
final class PendingAnswer {
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
        _ request: RangeRequest, _ credentials: RequestCredentials, _ client: HTTPClient, _ site: SiteAccess,
        _ ticket: SiteAccess.Ticket?, seconds: Int
    ) {
        (self.site, self.ticket, self.seconds) = (site, ticket, seconds)
        do {
            var message = try HTTPClient.Request(url: request.url)
            message.tlsConfiguration = credentials.tls
            message.headers.add(name: "Range", value: request.header)
            if let token = credentials.token { message.headers.add(name: "Authorization", value: "Bearer \(token)") }
            // The server then answers with an error where the content is another by now.
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
