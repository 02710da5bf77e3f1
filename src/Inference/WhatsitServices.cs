using System.ComponentModel.DataAnnotations;
using Microsoft.Extensions.DependencyInjection.Extensions;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Abstractions;
using Whatsit.Inference;
using Whatsit.Inference.Backends;
using Whatsit.Inference.Catalog;
using Whatsit.Inference.Explaining;
using Whatsit.Inference.Imaging;
using Whatsit.Inference.Imaging.Isolation;
using Whatsit.Inference.Scheduling;
using Whatsit.Vips;

// Where programs look for it: https://learn.microsoft.com/dotnet/core/extensions/options-library-authors
namespace Microsoft.Extensions.DependencyInjection;

/// <summary>The core as services.</summary>
public static class WhatsitServices
{
    /// <summary>
    /// Adds <see cref="WhatsitClassifier"/> and all that it stands on, each once for the program. Logs go to the program's own logging, where it has one;
    /// options that are services already are taken from there.
    /// </summary>
    /// <param name="services">The program's services.</param>
    /// <param name="configure">Changes settings.</param>
    /// <exception cref="InferenceException"><see cref="InferenceError.InvalidRequest"/>: a setting is out of its range; the message names it.</exception>
    public static IServiceCollection AddWhatsit(this IServiceCollection services, Action<WhatsitOptions>? configure = null)
    {
        var options = new WhatsitOptions();
        configure?.Invoke(options);
        Add(services, options.Catalog, "Catalog");
        Add(services, options.Decoding, "Decoding");
        Add(services, options.Scheduling, "Scheduling");
        Add(services, options.Explain, "Explain");
        Add(services, options.OnnxRuntime, "OnnxRuntime");
        Add(services, options.Remote, "Remote");

        // Bottom to top.
        services.TryAddSingleton(TimeProvider.System);
        services.TryAddSingleton(provider => CreateDecoder(
            provider.GetRequiredService<DecodingOptions>(),
            provider.GetRequiredService<SchedulingOptions>(),
            provider.GetService<ILogger<IsolatedDecoder>>() ?? NullLogger<IsolatedDecoder>.Instance));
        services.TryAddSingleton<InferenceMetrics>();
        services.TryAddSingleton<DecodePermits>();
        services.TryAddSingleton<ImageClassifier>();
        services.TryAddSingleton(provider => ImageDecoders.CreateEncoder(provider.GetRequiredService<DecodingOptions>()));
        services.TryAddSingleton<Overlay>();
        services.TryAddSingleton(provider => new ModelCatalog(
            provider.GetRequiredService<CatalogOptions>(),
            provider.GetRequiredService<OnnxBackendOptions>(),
            provider.GetRequiredService<SchedulingOptions>(),
            provider.GetRequiredService<ImageClassifier>(),
            provider.GetRequiredService<InferenceMetrics>(),
            provider.GetService<ILogger<ModelCatalog>>() ?? NullLogger<ModelCatalog>.Instance,
            provider.GetRequiredService<TimeProvider>(),
            provider.GetRequiredService<RemoteOptions>()));
        services.TryAddSingleton<WhatsitClassifier>();
        return services;
    }

    private static void Add<T>(IServiceCollection services, T options, string section)
        where T : class
    {
        var problems = new List<ValidationResult>();
        if (!Validator.TryValidateObject(options, new ValidationContext(options), problems, validateAllProperties: true))
        {
            throw new InferenceException(InferenceError.InvalidRequest, $"{section}.{problems[0].MemberNames.First()}: {problems[0].ErrorMessage}");
        }

        services.TryAddSingleton(options);
    }

    /// <summary>A library that is not there is said now, in a sentence, and not with each picture.</summary>
    private static IImageDecoder CreateDecoder(DecodingOptions options, SchedulingOptions scheduling, ILogger logger)
    {
        if (options.Isolation == ImageDecoders.Process)
        {
            return new IsolatedDecoder(options, scheduling, logger);
        }

        VipsFile.Path = options.LibvipsPath;
        var decoder = ImageDecoders.Create(options);
        try
        {
            _ = decoder is VipsImageDecoder ? VipsLibrary.Version : null;
            return decoder;
        }
        catch (TypeInitializationException exception) when (exception.GetBaseException() is DllNotFoundException missing)
        {
            throw new InferenceException(
                InferenceError.BackendFailed,
                options.LibvipsPath is { Length: > 0 } path ? $"The setting Decoding:LibvipsPath is '{path}'. {missing.Message}" : missing.Message,
                exception);
        }
    }
}
