import GRPCCore

/// Shows the worker's token at each call.
struct TokenInterceptor: ClientInterceptor {
    let token: String?

    func intercept<Input: Sendable, Output: Sendable>(
        request: StreamingClientRequest<Input>, context: ClientContext,
        next: (StreamingClientRequest<Input>, ClientContext) async throws -> StreamingClientResponse<Output>
    ) async throws -> StreamingClientResponse<Output> {
        guard let token else { return try await next(request, context) }
        var request = request
        request.metadata.replaceOrAddString("Bearer " + token, forKey: "authorization")
        return try await next(request, context)
    }
}
